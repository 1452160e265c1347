import { resolveLimits } from "@effect-websocket/protocol/Connection"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import { closedAtOnce, type Owner } from "../../../src/engine/connection/Closables.js"
import type { Policy } from "../../../src/engine/server/Policy.js"
import type { ServerConnection } from "../../../src/engine/server/ServerConnection.js"
import { ServerRequest } from "../../../src/engine/server/ServerRequest.js"
import type { Connector, Upgraded } from "../../../src/engine/server/Upgrade.js"
import type { UpgradeAttempt } from "../../../src/engine/server/UpgradeAttempt.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { Waiters } from "../../../src/engine/Waiters.js"
import type { Settings } from "../../../src/engine/Settings.js"
import type { Transport } from "../../../src/Transport.js"
import { ManualClock } from "../ManualClock.js"

export class FakeRequest extends ServerRequest {
  get cookies(): Record<string, string> {
    return {}
  }
}

export const requestOf = (url = "/", headers: HeaderRecord = {}): FakeRequest =>
  new FakeRequest(
    { _tag: "UpgradeRequest", url, headers, key: "", protocols: [], extensions: [], origin: undefined, host: "test" },
    undefined,
    undefined
  )

/** A connection that does only what a test says. */
export class FakeConnection implements ServerConnection {
  readonly link = this
  readonly agreement = { protocol: undefined }
  readonly transport = { remoteAddress: undefined }
  readonly request: ServerRequest
  readonly delivery = "messages"
  readonly patience = 0
  receivedMessages = 0
  readonly receivedBytes = 0
  readonly sentMessages = 0
  readonly sentBytes = 0
  readonly unreadBytes = 0
  readonly unsentBytes = 0
  /** The codes with which it was asked to close. */
  readonly codes: Array<number> = []
  status = { clean: true }
  /** Whether it ends as soon as it is asked to close. */
  readonly prompt: boolean
  private closed = false
  private owner: Owner | undefined = undefined
  private readonly waiters = new Waiters()

  constructor(request: ServerRequest = requestOf(), prompt = false) {
    this.request = request
    this.prompt = prompt
  }

  get url(): string {
    return this.request.url
  }

  start(owner: Owner): void {
    this.owner = owner
    owner.add(this)
  }

  beginClose(code: number): void {
    this.startClosing(code)
  }

  startClosing(code: number): undefined {
    if (this.closed) return
    this.codes.push(code)
    if (this.prompt) this.end()
  }

  cutShort(): void {
    if (this.closed) return
    this.status = { clean: false }
    this.end()
  }

  whenClosed(done: () => void): () => void {
    return this.closed ? closedAtOnce(done) : this.waiters.add(done)
  }

  end(): void {
    this.closed = true
    this.owner?.delete(this)
    this.waiters.wakeAll()
  }
}

/** Makes fake connections, and keeps what they were made of. */
export class FakeConnector implements Connector<FakeConnection, ServerRequest> {
  readonly made: Array<Upgraded<ServerRequest>> = []

  settingsFor<S>(settings: S): S {
    return settings
  }

  make(_: Transport, __: unknown, upgraded: Upgraded<ServerRequest>): FakeConnection {
    this.made.push(upgraded)
    return new FakeConnection(upgraded.request)
  }
}

const transport: Transport = {
  remoteAddress: undefined,
  bufferedBytes: 0,
  start: () => {},
  write: () => ({ taken: true, belowHighWater: true }),
  end: () => {},
  abort: () => {},
  pause: () => {},
  resume: () => {}
}

const handshake = {
  host: "test",
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-version": "13"
}

/** A request by hand, and how it was answered. */
export class FakeAttempt implements UpgradeAttempt {
  readonly remoteAddress = "192.0.2.1"
  readonly request
  readonly answers: Array<number> = []
  headers: HeaderRecord = {}
  private gone = false
  private listener: (() => void) | undefined = undefined

  constructor(url = "/", headers: HeaderRecord = {}) {
    this.request = { method: "GET", url, httpVersion: "1.1", headers: { ...handshake, ...headers } }
  }

  readonly isGone = () => this.gone

  readonly onGone = (listener: () => void) => {
    this.listener = listener
  }

  readonly upgrade = (headers: HeaderRecord) => {
    this.answers.push(101)
    this.headers = headers
    return transport
  }

  readonly reject = (status: number, headers: HeaderRecord) => {
    this.answers.push(status)
    this.headers = headers
  }

  leave(): void {
    this.gone = true
    this.listener?.()
  }
}

const settings: Settings = {
  limits: resolveLimits(undefined),
  maxFrameSize: undefined,
  maxSendBytes: undefined,
  sendMarks: { high: 65_536, low: 16_384 },
  sendStrategy: "suspend",
  receiveHighWaterMark: 65_536,
  closeTimeout: 5_000,
  heartbeatInterval: Infinity,
  heartbeatTimeout: 20_000,
  idleTimeout: Infinity,
  messageTimeout: Infinity,
  writeTimeout: Infinity,
  maxLifetime: Infinity,
  receiveRate: undefined,
  compression: undefined,
  budget: undefined,
  random: undefined
}

export const policyOf = (own: Partial<Policy> = {}): Policy => ({
  settings,
  origin: Origin.allowAll,
  select: Subprotocol.byServerPreference([]),
  handshakeTimeout: 10_000,
  firstMessageTimeout: Infinity,
  firstMessageCloseCode: 1008,
  gate: {
    maxConnections: Infinity,
    maxHandshakes: 1024,
    maxConnectionsPerKey: Infinity,
    rate: undefined,
    ratePerKey: undefined,
    key: () => undefined,
    retryAfter: 5
  },
  proxies: undefined,
  makeRequest: (request, remoteAddress, clientAddress) => new FakeRequest(request, remoteAddress, clientAddress),
  ...own
})

export const makeTimers = () => {
  const clock = new ManualClock()
  return { clock, timers: new Timers(clock) }
}
