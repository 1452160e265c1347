/** The log annotations of a connection. They leave out the query of its URL, which may contain secrets. */
export const annotations = (url: string, remoteAddress: string | undefined): Record<string, string> => ({
  "websocket.url": url.replace(/\?.*/s, ""),
  ...(remoteAddress === undefined ? {} : { "websocket.remoteAddress": remoteAddress })
})
