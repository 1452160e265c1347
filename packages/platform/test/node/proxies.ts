/** Proxies for clients to go through, that others have written; but for SOCKS 4, which no package speaks. */
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { createProxy } from "proxy"
import { createServer as createSocksServer, events } from "simple-socks"
import { Effect } from "../effect/index.js"
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

/** A SOCKS4 proxy, which resolves names as 4a says, for one user; and where it was asked to connect to. */
export const socks4Proxy = (username = "") =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const server = Net.createServer((client) => {
      client.on("error", () => {})
      client.once("data", (request: Buffer) => {
        const [user = "", name = ""] = request.subarray(8).toString().split("\0")
        const isName = request.readUInt32BE(4) < 256
        const host = isName ? name : request.subarray(4, 8).join(".")
        const port = request.readUInt16BE(2)
        const refuse = () => client.end(Buffer.from([0, 91, 0, 0, 0, 0, 0, 0]))
        if (request.readUInt16BE() !== 0x0401 || user !== username) return refuse()
        asked.push(`${host}:${port}`)
        const upstream = Net.connect({ host, port, family: 4 })
        upstream.once("error", refuse)
        upstream.once("connect", () => {
          client.write(Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]))
          client.pipe(upstream).pipe(client)
        })
        client.once("close", () => upstream.destroy())
        return undefined
      })
    })
    const port = yield* listen(server)
    return { asked, port, url: `socks4://localhost:${port}` }
  })
