/**
 * What every peer does, whoever connected: it sends back what it gets, and obeys a few commands. Read by Node, Bun, Deno and
 * browsers, so it imports nothing.
 */

/** The last connection's code and reason, for peers that are servers. */
let last = "none"
export const remember = (code, reason) => {
  // Those who ask for the last one close with 1000 themselves.
  if (code !== 1000) last = `${code} ${reason}`.trim()
}

/**
 * `api`: `send(data)`, `close(code, reason)`, and where the peer can do it `ping()`, `fragments()` and `origin`.
 */
export const react = (api, data) => {
  const [command, argument, ...rest] = typeof data === "string" ? data.split(" ") : [""]
  if (command === "!close") api.close(Number(argument), rest.join(" "))
  else if (command === "!big") api.send("x".repeat(Number(argument)))
  else if (command === "!ping") api.ping()
  else if (command === "!fragments") api.fragments()
  else if (command === "!origin") api.send(String(api.origin))
  else if (command === "!last") api.send(last)
  else if (command === "!forget") last = "none"
  else api.send(data)
}

/** A client with the API of browsers. Resolves to what it saw of the connection. */
export const webClient = (WebSocket, { options, protocols, url }) =>
  new Promise((resolve) => {
    const socket = options === undefined ? new WebSocket(url, protocols) : new WebSocket(url, { protocols, ...options })
    let opened = false
    socket.binaryType = "arraybuffer"
    socket.addEventListener("open", () => {
      opened = true
    })
    socket.addEventListener("message", ({ data }) =>
      react({ send: (reply) => socket.send(reply), close: (code, reason) => socket.close(code, reason) }, data)
    )
    // Whatever an error says, a close follows.
    socket.addEventListener("error", () => {})
    socket.addEventListener("close", ({ code, reason }) => resolve({ opened, protocol: socket.protocol, code, reason }))
  })
