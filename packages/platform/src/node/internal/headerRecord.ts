import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { IncomingMessage } from "node:http"

// Without properties, so that nothing is found that was not sent. V8 keeps what has `null` itself as its prototype as a hash table.
const prototype: object = Object.create(null)

/**
 * The headers of a message. They live as long as its connection, so what came once is no array, as it is in Node's
 * `headersDistinct`, which also throws on a header named `constructor` in Node 20.19, and stops at the server's
 * `maxHeadersCount`.
 */
export const headerRecord = ({ rawHeaders }: IncomingMessage): HeaderRecord => {
  const record: Record<string, string | Array<string>> = Object.create(prototype)
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = rawHeaders[i + 1]!
    const before = record[name]
    if (before === undefined) record[name] = value
    else if (typeof before === "string") record[name] = [before, value]
    else before.push(value)
  }
  return record
}
