import * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { UserInfo } from "../../engine/client/Url.js"

/** The server to connect to: its name, or its address. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** What to send, and how many bytes of an answer to read. */
interface Step {
  readonly send?: Uint8Array
  readonly receive: number
}

/** Returns why there is no tunnel, or `undefined` if there is one. */
type Handshake = Generator<Step, string | undefined, Uint8Array>

const wrongVersion = "The proxy does not speak this version of SOCKS"

/** The longest name, user name and password in bytes: a length has one byte. */
export const maxLength = 255

/** RFC 1928, with the user name and password of RFC 1929. */
export function* version5({ host, port }: Target, userInfo: UserInfo | undefined): Handshake {
  const address = addressOf(host)
  if (address === undefined) return tooLong
  const [version, method] = yield { send: Buffer.from(userInfo === undefined ? [5, 1, 0] : [5, 2, 0, 2]), receive: 2 }
  if (version !== 5) return wrongVersion
  if (method === 2 && userInfo !== undefined) {
    const send = Buffer.concat([Buffer.from([1]), prefixed(userInfo.username), prefixed(userInfo.password)])
    const [, status] = yield { send, receive: 2 }
    if (status !== 0) return "The proxy refused the user name and password"
  } else if (method !== 0) {
    return "The proxy asks for another kind of authentication"
  }
  const send = Buffer.concat([Buffer.from([5, 1, 0]), address, portOf(port)])
  const [answered, reply = 0, , kind = 0] = yield { send, receive: 4 }
  if (answered !== 5) return wrongVersion
  if (reply !== 0) return `The proxy answered: ${replies[reply - 1] ?? reply}`
  // Skips the address that the proxy connects from.
  if (kind === 3) {
    const [length = 0] = yield { receive: 1 }
    yield { receive: length + 2 }
  } else if (kind === 1 || kind === 4) {
    yield { receive: (kind === 1 ? 4 : 16) + 2 }
  } else {
    return wrongVersion
  }
  return undefined
}

/** SOCKS 4, and SOCKS 4a for names. It has user names but no passwords. */
export function* version4({ host, port }: Target, username: string): Handshake {
  const family = Net.isIP(host)
  if (family === 6) return "SOCKS 4 has no IPv6 addresses"
  if (host.length > maxLength) return tooLong
  const send = Buffer.concat([
    Buffer.from([4, 1]),
    portOf(port),
    Buffer.from(family === 4 ? host.split(".").map(Number) : [0, 0, 0, 1]),
    Buffer.from(`${username}\0${family === 4 ? "" : `${host}\0`}`)
  ])
  const [version, reply] = yield { send, receive: 8 }
  if (version !== 0) return wrongVersion
  return reply === 90 ? undefined : `The proxy answered with code ${reply}`
}

const tooLong = "The name of the server is too long for SOCKS"

// RFC 1928 §6, from code 1 on.
const replies = [
  "general failure",
  "not allowed",
  "network unreachable",
  "host unreachable",
  "connection refused",
  "TTL expired",
  "command not supported",
  "address type not supported"
]

const prefixed = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

const portOf = (port: number): Buffer => Buffer.from([port >> 8, port & 0xff])

const addressOf = (host: string): Buffer | undefined => {
  switch (Net.isIP(host)) {
    case 4:
      return Buffer.from([1, ...host.split(".").map(Number)])
    case 6:
      return Buffer.from([4, ...ipv6Bytes(host)])
    default:
      return host.length > maxLength ? undefined : Buffer.concat([Buffer.from([3]), prefixed(host)])
  }
}

/** The bytes of an address as `URL` writes it: hexadecimal only, in lower case. */
const ipv6Bytes = (address: string): ReadonlyArray<number> => {
  const [left = [], right = []] = address.split("::").map((half) => (half === "" ? [] : half.split(":")))
  const missing = Array.from({ length: 8 - left.length - right.length }, () => "0")
  return [...left, ...missing, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

/**
 * Performs a handshake over a connected stream, and reads no byte beyond it. It calls back once, with why there is no tunnel, or
 * with `undefined`. The returned function cancels it. Neither of them closes the stream.
 */
export const perform = (
  socket: Duplex,
  handshake: Handshake,
  done: (refusal: string | undefined) => void
): (() => void) => {
  let wanted = 0
  const stop = () => {
    socket.off("readable", read)
    socket.off("close", gone)
  }
  const end = (refusal: string | undefined) => {
    stop()
    done(refusal)
  }
  const gone = () => end("The proxy ended the connection")
  /** Returns false once the handshake has ended. */
  const advance = (answer: Uint8Array): boolean => {
    const next = handshake.next(answer)
    if (next.done === true) {
      end(next.value)
      return false
    }
    wanted = next.value.receive
    if (next.value.send !== undefined) socket.write(next.value.send)
    return true
  }
  const read = () => {
    for (;;) {
      const bytes: Buffer | null = socket.read(wanted)
      // Fewer bytes are the last ones, before the end.
      if (bytes === null || bytes.length < wanted || !advance(bytes)) return
    }
  }
  socket.on("readable", read)
  socket.once("close", gone)
  advance(Buffer.alloc(0))
  return stop
}
