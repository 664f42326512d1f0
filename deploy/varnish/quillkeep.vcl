# The delivery cache: keeps what anonymous readers are answered, forgets by tag within a second of a change.
# Needs Varnish 7 or newer and varnish-modules (vmods xkey and var). Start it with two sockets, one of them for purges:
#   varnishd -a http=:6081,HTTP -a purge=:6082,HTTP -f /etc/varnish/quillkeep.vcl -s malloc,512m
# Only nginx reaches the first, only the process `caches` the second. Addresses stand in backends.vcl.
vcl 4.1;

import directors;
import std;
import var;
import xkey;

include "backends.vcl";

sub vcl_recv {
    if (local.socket == "purge") {
        call purge;
    }
    unset req.http.xkey-purge;
    unset req.http.Cache-As-Of;
    set req.backend_hint = delivery.backend();

    # Whoever shows a credential is answered by the server itself, and so is everything but published content.
    if (req.http.Authorization || req.http.Cookie || req.url !~ "^/api/v1/content/") {
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # For five seconds after the last word of `caches` we know of every change; after that nothing is answered from here.
    if (now - std.real2time(std.real(var.global_get("heard"), 0.0), now) > 5s) {
        return (pass);
    }
    # Common spellings of "any JSON": one answer for all of them.
    if (!req.http.Accept || req.http.Accept == "*/*" || req.http.Accept == "application/json") {
        set req.http.Accept = "application/json";
    }
    return (hash);
}

# What `caches` sends: how new everything now is, and which tags to forget. Both names are free of escapes: keys of
# collections, or * for everything.
sub purge {
    if (client.ip !~ purgers) {
        return (synth(403, "Forbidden"));
    }
    if (req.method != "PURGE") {
        return (synth(405, "Method Not Allowed"));
    }
    if (req.http.Cache-As-Of) {
        if (std.integer(req.http.Cache-As-Of, -1) < 0) {
            return (synth(400, "Bad Request"));
        }
        # Before anything is forgotten: what is older must not come in behind our back.
        if (std.integer(req.http.Cache-As-Of, -1) > std.integer(var.global_get("as-of"), -1)) {
            var.global_set("as-of", req.http.Cache-As-Of);
        }
        var.global_set("heard", "" + std.time2real(now, 0.0));
    }
    if (req.http.xkey-purge) {
        set req.http.Purged = xkey.purge(req.http.xkey-purge);
    }
    return (synth(204, "No Content"));
}

sub vcl_backend_response {
    if (bereq.uncacheable) {
        return (deliver);
    }
    if (beresp.status != 200 || beresp.http.Set-Cookie || beresp.http.Cache-Control !~ "\bs-maxage=[1-9]") {
        # Errors, and whatever does not say that we may: asked for anew each time, without a queue before it.
        set beresp.ttl = 10s;
        set beresp.uncacheable = true;
        return (deliver);
    }
    if (std.integer(beresp.http.Cache-As-Of, -2) < std.integer(var.global_get("as-of"), -1)) {
        # Read before the last change that we know of: on its way while we were purged, or from a replica that lags.
        set beresp.ttl = 1s;
        set beresp.uncacheable = true;
        return (deliver);
    }
    set beresp.http.xkey = "* " + regsuball(beresp.http.Cache-Tag, ",", " ");
    set beresp.grace = 30s;
    return (deliver);
}

sub vcl_backend_error {
    # A server that went away in the middle of an answer: the other one is asked, once.
    if (bereq.retries < 1 && (bereq.method == "GET" || bereq.method == "HEAD")) {
        return (retry);
    }
    set beresp.status = 503;
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "2";
    set beresp.http.X-Content-Type-Options = "nosniff";
    set beresp.http.Content-Security-Policy = "default-src 'none'; frame-ancestors 'none'";
    set beresp.http.Strict-Transport-Security = "max-age=63072000; includeSubDomains; preload";
    set beresp.body = {"{"type":"about:blank","title":"Service Unavailable","status":503}"};
    return (deliver);
}

sub vcl_deliver {
    if (obj.hits > 0) {
        # These were about somebody else's request.
        unset resp.http.X-Request-ID;
        unset resp.http.RateLimit;
        set resp.http.X-Cache = "hit";
    } else {
        set resp.http.X-Cache = "miss";
    }
    # That answers may be kept was said to us, who hear of changes; caches further out don't.
    if (resp.http.Cache-Control ~ "s-maxage") {
        set resp.http.Cache-Control = "public, no-cache";
    }
    unset resp.http.xkey;
    unset resp.http.Cache-As-Of;
    unset resp.http.Age;
    unset resp.http.Via;
    unset resp.http.X-Varnish;
}

sub vcl_synth {
    set resp.http.Content-Type = "text/plain";
    set resp.http.Purged = req.http.Purged;
    set resp.body = "";
    return (deliver);
}
