/** What logs say of a connection: without the query of its URL, where secrets are. */
export const annotations = (url: string, remoteAddress: string | undefined): Record<string, string> => ({
  "websocket.url": url.replace(/\?.*/s, ""),
  ...(remoteAddress === undefined ? {} : { "websocket.remoteAddress": remoteAddress })
})
