/** Proxies that others have written, for clients to go through. */
import { Effect } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import { createProxy } from "proxy"
import { createServer as createSocksServer, events } from "simple-socks"
import type { Certificate } from "./certificates.js"
import { listen } from "./support.js"

export interface Account {
  readonly username: string
  readonly password: string
}

/** A proxy for `CONNECT`, and where it was asked to connect to. */
export const httpProxy = (options: { readonly account?: Account; readonly tls?: Certificate } = {}) =>
  Effect.gen(function* () {
    const { account, tls } = options
    const asked: Array<string> = []
    const server = createProxy(tls === undefined ? Http.createServer() : Https.createServer(tls))
    if (account !== undefined) {
      const expected = `Basic ${Buffer.from(`${account.username}:${account.password}`).toString("base64")}`
      server.authenticate = (request) => request.headers["proxy-authorization"] === expected
    }
    server.on("connect", ({ url }: Http.IncomingMessage) => void asked.push(url ?? ""))
    const port = yield* listen(server)
    return { asked, port, url: `${tls === undefined ? "http" : "https"}://localhost:${port}` }
  })

/** A SOCKS5 proxy, and where it was asked to connect to. */
export const socksProxy = (account?: Account) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const server = createSocksServer(
      account === undefined
        ? {}
        : {
            authenticate: (username, password, _socket, callback) =>
              callback(username === account.username && password === account.password ? undefined : new Error("no"))
          }
    )
    server.on(events.PROXY_CONNECT, (destination: { readonly address: string; readonly port: number }) =>
      asked.push(`${destination.address}:${destination.port}`)
    )
    server.on(events.PROXY_ERROR, () => {})
    const port = yield* listen(server)
    return { asked, port, url: `socks5://localhost:${port}` }
  })
