import type { HeaderRecord } from "@effect-websocket/protocol/Errors"

// A prototype without properties, so that a lookup finds only headers that were sent. The prototype of a record is not
// `null` itself, because V8 would then store the record as a hash table. From a constructor, V8 learns for how many properties
// to leave room; without one, it would put those after the fourth into an object of their own.
const Headers = function () {} as unknown as new () => Record<string, string | Array<string>>
Headers.prototype = Object.create(null)

// The last value of each header that most clients, or all connections of one client, send with the same value.
const lastValues = new Map<string, string>(
  [
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "host",
    "origin",
    "pragma",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "upgrade",
    "user-agent"
  ].map((name) => [name, ""])
)

/** The same value. If the last request had it too, both share the memory, because a server keeps the headers. */
const sharedValue = (name: string, value: string): string => {
  const last = lastValues.get(name)
  if (last === value) return last
  if (last !== undefined) lastValues.set(name, value)
  return value
}

/**
 * The headers of a message. Their values live as long as the connection, so a header that was sent once is a string and
 * not an array. This is why Node's `headersDistinct` is not used: all its values are arrays. Besides, it throws on a
 * header named `constructor` in Node 20.19, and it stops at the server's `maxHeadersCount`.
 */
export const headerRecord = ({ rawHeaders }: { readonly rawHeaders: ReadonlyArray<string> }): HeaderRecord => {
  const record = new Headers()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = sharedValue(name, rawHeaders[i + 1]!)
    const before = record[name]
    if (before === undefined) record[name] = value
    else if (typeof before === "string") record[name] = [before, value]
    else before.push(value)
  }
  return record
}
