// Verifies one request by the library, as a receiver would: the body's bytes as they came, and the headers.
import { Webhook } from 'standardwebhooks'

const { secret, body, headers } = JSON.parse(process.argv[2])
try {
  const told = new Webhook(secret).verify(Buffer.from(body, 'base64').toString('utf8'), headers)
  process.stdout.write(JSON.stringify({ told }))
} catch (error) {
  process.stdout.write(JSON.stringify({ refused: error.constructor.name }))
}
