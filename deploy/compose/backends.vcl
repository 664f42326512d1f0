# varnish/backends.vcl for compose.yaml. Addresses and no names: one that can't be looked up keeps Varnish from starting.
# Purges come from the network inside.

probe ready {
    .request = "GET /readyz HTTP/1.1" "Host: content.example.com" "Connection: close";
    .interval = 1s;
    .timeout = 2s;
    .window = 3;
    .threshold = 2;
    .initial = 2;
}

backend delivery_1 {
    .host = "172.30.0.31";
    .port = "8000";
    .probe = ready;
    .connect_timeout = 1s;
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 5s;
    .max_connections = 200;
}

backend delivery_2 {
    .host = "172.30.0.32";
    .port = "8000";
    .probe = ready;
    .connect_timeout = 1s;
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 5s;
    .max_connections = 200;
}

sub vcl_init {
    new delivery = directors.round_robin();
    delivery.add_backend(delivery_1);
    delivery.add_backend(delivery_2);
}

acl purgers {
    "172.30.0.0"/24;
}
