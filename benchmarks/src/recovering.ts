/** Clients that are away while messages are published, and then recover them. */
import { once } from "node:events"
import { WebSocket } from "ws"
import type { Dialect } from "./load/requests.js"

/** Where a client was. */
type Place = Readonly<Record<string, string>>

interface Client {
  readonly socket: WebSocket
  /** Completes when this many publications have arrived. */
  readonly received: (count: number) => Promise<void>
  readonly place: () => Place
}

/** What is of interest in a message. */
interface Seen {
  readonly place?: Place
  readonly isPublication: boolean
}

const readPlain = (text: string): Seen => {
  const { data, position }: { data?: string; position: { epoch: string; offset: number } } = JSON.parse(text)
  return { place: { epoch: position.epoch, offset: String(position.offset) }, isPublication: data !== undefined }
}

const readEvent = (text: string): Seen => {
  if (text.startsWith("42")) {
    const event: ReadonlyArray<string> = JSON.parse(text.slice(2))
    return { place: { offset: event.at(-1) ?? "" }, isPublication: true }
  }
  const { pid }: { pid?: string } = text.startsWith("40") ? JSON.parse(text.slice(2)) : {}
  return { ...(pid !== undefined && { place: { pid } }), isPublication: false }
}

/** Connects, and joins the topic behind `place`. */
const connect = async (port: number, dialect: Dialect, before?: Place): Promise<Client> => {
  const isPlain = dialect === "plain"
  const path = isPlain ? `/?${new URLSearchParams(before).toString()}` : "/socket.io/?EIO=4&transport=websocket"
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
  let [count, wanted, place] = [0, 0, { ...before }]
  let done: () => void = () => {}
  let joined: () => void = () => {}
  const isJoined = new Promise<void>((resolve) => (joined = resolve))
  socket.on("message", (data) => {
    const text = String(data)
    if (!isPlain && text.startsWith("0")) {
      socket.send(`40${before === undefined ? "" : JSON.stringify(before)}`)
      return
    }
    const seen = (isPlain ? readPlain : readEvent)(text)
    place = { ...place, ...seen.place }
    joined()
    if (seen.isPublication && ++count === wanted) done()
  })
  await isJoined
  return {
    socket,
    received: (expected) =>
      new Promise((resolve) => {
        wanted = expected
        done = resolve
        if (count >= wanted) resolve()
      }),
    place: () => place
  }
}

const publish = async (port: number, dialect: Dialect, count: number, text: string): Promise<void> => {
  const isPlain = dialect === "plain"
  // A publisher does not join, so with the plain dialect it is told nothing.
  const socket = isPlain ? new WebSocket(`ws://127.0.0.1:${port}`) : (await connect(port, dialect)).socket
  if (isPlain) await once(socket, "open")
  const message = isPlain ? text : `42${JSON.stringify(["message", text])}`
  for (let i = 0; i < count; i++) socket.send(message)
  socket.close()
}

/** A client that was away while messages were published. Completes when it may come back. */
export const miss = async (
  ports: { readonly publisher: number; readonly member: number },
  dialect: Dialect,
  count: number,
  text: string
): Promise<() => Promise<void>> => {
  const away = await connect(ports.member, dialect)
  await publish(ports.publisher, dialect, 1, text)
  await away.received(1)
  const place = away.place()
  const witness = await connect(ports.member, dialect)
  away.socket.terminate()
  await publish(ports.publisher, dialect, count, text)
  await witness.received(count)
  witness.socket.terminate()
  return async () => {
    const back = await connect(ports.member, dialect, place)
    await back.received(count)
    back.socket.terminate()
  }
}
