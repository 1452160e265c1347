/** The certificate of the tests, which no authority has signed. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const fixture = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../../../packages/platform/test/node/fixtures/${name}`, import.meta.url)))

export const tls = { key: fixture("key.pem"), cert: fixture("cert.pem") }
