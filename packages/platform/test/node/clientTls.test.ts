import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { Redacted } from "effect"
import * as Net from "node:net"
import type { TLSSocket } from "node:tls"
import * as Tls from "node:tls"
import { Cause, ConfigProvider, Config, Effect, Exit, Layer } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { certificates, passphrase, type Certificate } from "./certificates.js"
import { answer101, facts, ioFacts, listen, noHandlesLeft } from "./support.js"

afterEach(noHandlesLeft)

/** A server that accepts every WebSocket, and what it knows of each client. */
const tlsServer = (certificate: Certificate, options: Tls.TlsOptions = {}) =>
  Effect.gen(function* () {
    const clients: Array<{ alpn: string | false | null; name: string | false | null; subject: string | undefined }> = []
    const server = Tls.createServer({ ALPNProtocols: ["h2", "http/1.1"], ...certificate, ...options })
    server.on("tlsClientError", () => {})
    server.on("secureConnection", (socket: TLSSocket & { readonly servername?: string | false | null }) => {
      const peer = socket.getPeerCertificate() as Partial<Tls.PeerCertificate> | undefined
      const subject = peer?.subject?.CN
      clients.push({
        alpn: socket.alpnProtocol,
        name: socket.servername ?? false,
        subject: typeof subject === "string" ? subject : undefined
      })
      socket.on("error", () => {})
      socket.once("data", (bytes: Buffer) => {
        socket.write(answer101(bytes.toString("latin1")))
        // The client begins to close; the server just goes.
        socket.once("data", () => socket.end())
      })
    })
    const port = yield* listen(server)
    return { clients, port }
  })

const ca = certificates.ca.cert

const connectWith = (url: string, tls: NodeWebSocketClient.TlsOptions, options: NodeWebSocketClient.Options = {}) =>
  Effect.asVoid(WebSocketClient.connect(url)).pipe(
    Effect.scoped,
    Effect.provide(NodeWebSocketClient.layerWith({ ...options, tls }))
  )

describe("the server's certificate", () => {
  it.live("may be good", () =>
    Effect.gen(function* () {
      const { clients, port } = yield* tlsServer(certificates.good)
      yield* connectWith(`wss://localhost:${port}`, { ca })
      yield* connectWith(`wss://127.0.0.1:${port}`, { ca })
      // RFC 6066 §3: an address is no server name.
      assert.deepStrictEqual(clients, [
        { alpn: "http/1.1", name: "localhost", subject: undefined },
        { alpn: "http/1.1", name: false, subject: undefined }
      ])
    })
  )

  for (const [name, certificate, reason, tls] of [
    ["has expired", certificates.expired, "CertificateExpired", { ca }],
    ["is not valid yet", certificates.early, "CertificateExpired", { ca }],
    ["has other names", certificates.elsewhere, "CertificateNameMismatch", { ca }],
    ["is self-signed", certificates.selfSigned, "CertificateSelfSigned", { ca }],
    ["is of an unknown authority", certificates.good, "CertificateUnknownAuthority", {}],
    ["is of another authority", certificates.stranger, "CertificateUnknownAuthority", { ca }],
    [
      "comes with an unknown authority",
      { ...certificates.good, cert: `${certificates.good.cert}\n${ca}` },
      "CertificateUnknownAuthority",
      {}
    ]
  ] as const) {
    it.live(`${name}: ${reason}, unless verification is off`, () =>
      Effect.gen(function* () {
        const { port } = yield* tlsServer(certificate)
        const url = `wss://localhost:${port}`
        assert.deepStrictEqual(facts(yield* Effect.flip(connectWith(url, tls))), ioFacts(reason, "tls"))
        yield* connectWith(url, { ...tls, dangerouslySkipCertificateVerification: true })
      })
    )
  }

  it.live("is verified although the environment switches it off", () =>
    Effect.gen(function* () {
      const { port } = yield* tlsServer(certificates.selfSigned)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        }),
        () => Effect.sync(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"])
      )
      const error = yield* Effect.flip(connectWith(`wss://localhost:${port}`, {}))
      assert.deepStrictEqual(facts(error), ioFacts("CertificateSelfSigned", "tls"))
    })
  )

  it.live("belongs to the requested name", () =>
    Effect.gen(function* () {
      const { clients, port } = yield* tlsServer(certificates.elsewhere)
      yield* connectWith(`wss://127.0.0.1:${port}`, { ca, servername: "elsewhere.example" })
      assert.strictEqual(clients[0]?.name, "elsewhere.example")
    })
  )

  it.live("is verified over a stream of the app's", () =>
    Effect.gen(function* () {
      const { port } = yield* tlsServer(certificates.elsewhere)
      const createConnection = () => Net.connect(port, "127.0.0.1")
      yield* connectWith("wss://elsewhere.example", { ca }, { createConnection })
      const error = yield* Effect.flip(connectWith("wss://localhost", { ca }, { createConnection }))
      assert.deepStrictEqual(facts(error), ioFacts("CertificateNameMismatch", "tls"))
    })
  )
})

describe("the client's certificate", () => {
  const mutual = { ca, requestCert: true, rejectUnauthorized: true }

  for (const [name, tls] of [
    ["in the clear", certificates.client],
    ["redacted", { cert: certificates.client.cert, key: Redacted.make(certificates.client.key) }],
    [
      "with a passphrase",
      {
        cert: certificates.secretClient.cert,
        key: Redacted.make(certificates.secretClient.key),
        passphrase: Redacted.make(passphrase)
      }
    ]
  ] as const) {
    it.live(`is sent, with its key ${name}`, () =>
      Effect.gen(function* () {
        const { clients, port } = yield* tlsServer(certificates.good, mutual)
        yield* connectWith(`wss://localhost:${port}`, { ca, ...tls })
        assert.strictEqual(clients[0]?.subject, "client")
      })
    )
  }

  it.live("may come from Config", () =>
    Effect.gen(function* () {
      const { clients, port } = yield* tlsServer(certificates.good, mutual)
      const layer = NodeWebSocketClient.layerConfig({
        tls: { ca: Config.String("CA"), cert: Config.String("CERT"), key: Config.Redacted("KEY") }
      })
      yield* WebSocketClient.connect(`wss://localhost:${port}`).pipe(
        Effect.scoped,
        Effect.provide(layer),
        Effect.withConfigProvider(
          ConfigProvider.fromEnvRecord({ CA: ca, CERT: certificates.client.cert, KEY: certificates.client.key })
        )
      )
      assert.strictEqual(clients[0]?.subject, "client")
    })
  )

  it.live("may be for one connection, beside a client without one", () =>
    Effect.gen(function* () {
      const { clients, port } = yield* tlsServer(certificates.good, { ...mutual, rejectUnauthorized: false })
      const url = `wss://localhost:${port}`
      const shared = { tls: { ca } }
      const mine = NodeWebSocketClient.connect(url, { ...shared, tls: { ...shared.tls, ...certificates.client } })
      yield* Effect.gen(function* () {
        yield* Effect.scoped(WebSocketClient.connect(url))
        yield* Effect.scoped(mine)
        yield* Effect.scoped(WebSocketClient.connect(url))
        // It has nothing of the client in its surroundings.
        const error = yield* Effect.flip(Effect.scoped(NodeWebSocketClient.connect(url)))
        assert.deepStrictEqual(facts(error), ioFacts("CertificateUnknownAuthority", "tls"))
      }).pipe(Effect.provide(NodeWebSocketClient.layerWith(shared)))
      assert.deepStrictEqual(
        clients.map(({ subject }) => subject),
        [undefined, "client", undefined]
      )
    })
  )

  it.live("fails if the server misses it or does not trust it", () =>
    Effect.gen(function* () {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const { clients, port } = yield* tlsServer(certificates.good, mutual)
        const url = `wss://localhost:${port}`
        for (const tls of [{}, certificates.stranger]) {
          const error = facts(yield* Effect.flip(connectWith(url, { ca, maxVersion, ...tls })))
          // To a client of TLS 1.3 the handshake is over when the server refuses; a reset may overtake why.
          if (maxVersion === "TLSv1.3" && error["reason"] === "Reset") {
            assert.deepStrictEqual(error, ioFacts("Reset", "handshake"))
          } else {
            assert.deepStrictEqual(error, ioFacts("Tls", "tls"))
          }
        }
        assert.deepStrictEqual(clients, [])
      }
    })
  )

  it.effect("is a defect if it is invalid, and the error does not show the key", () =>
    Effect.gen(function* () {
      for (const tls of [
        { key: Redacted.make("MARK no key") },
        { cert: certificates.client.cert, key: Redacted.make(certificates.stranger.key) },
        { key: Redacted.make(certificates.secretClient.key), passphrase: Redacted.make("MARK wrong") }
      ]) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketClient.layerWith({ tls }))))
        assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        const said = Cause.prettyWithCauses(exit.cause)
        assert.match(said, /RangeError: tls cannot be used/)
        assert.notInclude(said, "MARK")
      }
    })
  )
})
