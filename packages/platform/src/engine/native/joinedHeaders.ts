import type { HeaderRecord } from "@effect-websocket/protocol/Errors"

/** Headers with one value for each name: several are joined by commas (RFC 9110 §5.3). */
export const joinedHeaders = (headers: HeaderRecord): Record<string, string> => {
  const joined: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) joined[name] = typeof value === "string" ? value : value.join(", ")
  }
  return joined
}
