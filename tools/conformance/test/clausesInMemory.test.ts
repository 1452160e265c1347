/**
 * Runs the same cases against `Connection` and `Handshake` alone. Checks their typed errors for every split of the
 * bytes.
 */
import * as Connection from "@effect-websocket/protocol/Connection"
import { ProtocolError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { zlib } from "@effect-websocket/platform/node/NodeZlib"
import { assert, describe, it } from "vitest"
import { clauses } from "../src/Clauses.js"
import type { Exchange, Request } from "../src/Clause.js"
import type { Role } from "../src/Role.js"
import { concat, decode, fault, opcodes, show, type Received } from "../src/Frame.js"
import { inflater } from "../src/Driver.js"

const styles = [
  { style: "one owned chunk", chop: Number.MAX_SAFE_INTEGER, owned: true },
  { style: "one borrowed chunk", chop: Number.MAX_SAFE_INTEGER, owned: false },
  { style: "chunks of 997 bytes", chop: 997, owned: true },
  { style: "chunks of 3 bytes", chop: 3, owned: false },
  { style: "single bytes", chop: 1, owned: false }
]

const settings = PermessageDeflate.resolve({ threshold: 0, clientMaxWindowBits: 15, serverMaxWindowBits: 15 })

const compressionOf = (role: Role, header: string): Connection.Options["compression"] => {
  const extensions = Extension.parse([role === "server" ? header : header.replace("; client_max_window_bits", "")])
  if (extensions instanceof ProtocolError) return assert.fail(extensions.message)
  const agreement =
    role === "server"
      ? PermessageDeflate.accept(extensions, settings)
      : PermessageDeflate.check(
          extensions,
          PermessageDeflate.resolve({ ...settings, offers: [{ clientMaxWindowBits: true }] })
        )
  if (agreement === undefined || agreement instanceof ProtocolError) return assert.fail(`${header} is declined`)
  return { zlib, settings, agreement }
}

const endpoint = (role: Role, deflate: string | undefined): Connection.Connection => {
  const compression = deflate === undefined ? undefined : compressionOf(role, deflate)
  if (role === "server") return Connection.make({ role, compression })
  let count = 0
  return Connection.make({ role, compression, maskKey: () => Math.imul(++count, 0x9e3779b1) >>> 0 })
}

interface Echoed {
  readonly connection: Connection.Connection
  readonly written: ReadonlyArray<Received>
  readonly ended: ReadonlyArray<ConnectionError>
}

/** Feeds bytes in chunks of `chop` to an endpoint that echoes every message. */
const echo = (role: Role, testCase: Exchange, chop: number, owned: boolean): Echoed => {
  const connection = endpoint(role, testCase.deflate)
  const bytes = Uint8Array.from(testCase.input(role))
  const output: Array<Uint8Array> = []
  const ended: Array<ConnectionError> = []
  const handle = (events: ReadonlyArray<Connection.Event>) => {
    for (const event of events) {
      assert.lengthOf(ended, 0, "an event after the last one")
      if (event._tag === "Ended") ended.push(event.error)
      else if (event._tag === "Text" || event._tag === "Binary") assert.isUndefined(connection.send(event))
    }
  }
  for (let start = 0; start < bytes.length; start += chop) {
    const chunk = bytes.subarray(start, start + chop)
    handle(connection.receive(chunk, owned))
    // Overwrites a borrowed chunk at once, as a transport reuses its read buffer.
    if (!owned) chunk.fill(0xaa)
    handle(connection.settle())
    for (const written of connection.takeOutput()) output.push(Uint8Array.from(written))
    connection.recycleOutput()
  }
  const written: Array<Received> = []
  let rest = Buffer.from(concat(output))
  while (rest.length > 0) {
    const frame = decode(rest)
    if (frame === undefined) return assert.fail("a frame that is not whole")
    assert.isUndefined(fault(frame, role, testCase.deflate !== undefined))
    written.push(frame)
    rest = rest.subarray(frame.size)
  }
  return { connection, written, ended }
}

const checkExchange = (role: Role, testCase: Exchange): void => {
  const { end, messages, pongs } = testCase
  for (const { chop, owned, style } of styles) {
    if (chop < 100 && testCase.input(role).length > 20_000) continue
    const label = `${testCase.name}, ${style}`
    const { connection, ended, written } = echo(role, testCase, chop, owned)
    const inflate = inflater(true)
    const of = (kinds: ReadonlyArray<number>) =>
      written
        .filter(({ opcode }) => kinds.includes(opcode))
        .map(({ opcode, payload, rsv }) => show({ opcode, payload: rsv === 0 ? payload : inflate(payload) }))
    assert.deepStrictEqual(of([opcodes.text, opcodes.binary]), messages.map(show), label)
    assert.deepStrictEqual(of([opcodes.pong]), pongs.map(show), label)
    assert.deepStrictEqual(
      ended.map((error): object => ({ ...error })),
      end === undefined ? [] : [end.error],
      label
    )
    const closes = written.filter(({ opcode }) => opcode === opcodes.close)
    assert.lengthOf(closes, end === undefined ? 0 : 1, label)
    const violation = end !== undefined && end.error["_tag"] !== "Connection_closed"
    assert.strictEqual(connection.closeStatus.sent?.code, end?.codes[0], label)
    assert.strictEqual(connection.phase, end === undefined ? "Open" : "Closing", label)
    assert.strictEqual(connection.outputEnded, violation || (end !== undefined && role === "server"), label)
    assert.strictEqual(connection.closeStatus.clean, end !== undefined && !violation, label)
  }
}

const headersOf = (head: string): Record<string, ReadonlyArray<string>> => {
  const headers: Record<string, ReadonlyArray<string>> = Object.create(null)
  for (const line of head.split("\r\n").slice(1, -2)) {
    const [name = ""] = line.split(":", 1)
    headers[name.toLowerCase()] = [...(headers[name.toLowerCase()] ?? []), line.slice(name.length + 1).trim()]
  }
  return headers
}

const checkRequest = ({ error, head, name, status }: Request): void => {
  const [method = "", url = "", version = ""] = head.slice(0, head.indexOf("\r\n")).split(" ")
  const checked = Handshake.checkRequest({ method, url, httpVersion: version.slice(5), headers: headersOf(head) })
  if (checked._tag === "UpgradeRequest") {
    assert.strictEqual(status, 101, name)
    return
  }
  assert.strictEqual(checked.status, status, name)
  const { description, ...fields }: Record<string, unknown> = { ...checked.error }
  assert.isString(description)
  assert.deepStrictEqual(fields, error, name)
}

for (const role of ["server", "client"] as const) {
  describe(`in memory, as ${role}`, () => {
    for (const { cases, rule, section } of clauses) {
      const exchanges = cases
        .filter((testCase) => testCase.kind === "exchange")
        .filter(({ roles }) => roles.includes(role))
      const requests = role === "server" ? cases.filter((testCase) => testCase.kind === "request") : []
      if (exchanges.length + requests.length === 0) continue
      it(`${section}: ${rule}`, () => {
        for (const testCase of exchanges) checkExchange(role, testCase)
        for (const testCase of requests) checkRequest(testCase)
      })
    }
  })
}
