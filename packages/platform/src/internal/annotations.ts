/** The log annotations of a connection. They leave out the query of its URL, which may contain secrets. */
export const annotations = (url: string, remoteAddress: string | undefined): Record<string, string> => {
  const end = url.indexOf("?")
  const path = end < 0 ? url : url.slice(0, end)
  // Not with a spread: V8 would leave room for two more properties in an object that each connection keeps.
  return remoteAddress === undefined
    ? { "websocket.url": path }
    : { "websocket.url": path, "websocket.remoteAddress": remoteAddress }
}
