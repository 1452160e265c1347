import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type { Transport } from "../Transport.js"
import type { DeliveryOptions } from "../Options.js"
import type { Timers } from "../engine/time/Timers.js"
import { FrameWebSocketImpl } from "./FrameWebSocketImpl.js"
import { Link, type Mode, type Negotiated } from "../engine/connection/Link.js"
import { makeConnection } from "../engine/connection/makeConnection.js"
import { guarded } from "../engine/connection/GuardedTransport.js"
import { isFraming, makeCore } from "../engine/connection/ownCore.js"
import { observe } from "../engine/connection/Observed.js"
import { MessageWebSocketImpl } from "./MessageWebSocketImpl.js"
import type { Settings } from "../engine/Settings.js"
import { shown } from "./settings.js"
import { StreamingWebSocketImpl } from "./StreamingWebSocketImpl.js"

/** The class of WebSocket for each delivery. */
export interface WebSockets<Request> {
  readonly messages: MessageWebSocketImpl<Request>
  readonly streams: StreamingWebSocketImpl<Request>
  readonly frames: FrameWebSocketImpl<Request>
}

export type AnyWebSocketImpl<Request = undefined> = WebSockets<Request>[Delivery]

const implementations = {
  messages: MessageWebSocketImpl,
  streams: StreamingWebSocketImpl,
  frames: FrameWebSocketImpl
}

/**
 * Determines what a connection with these options delivers. Throws a `RangeError` for options that belong to another
 * delivery.
 */
export const resolveMode = <D extends Delivery>(options: DeliveryOptions<D>): Mode & { readonly delivery: D } => {
  const { answerClose, answerPings, opcodes, recordFrames, rsv } = options
  // If `delivery` is not given, `D` is "messages".
  const delivery = options.delivery ?? ("messages" as D)
  if (!Object.hasOwn(implementations, delivery)) {
    throw new RangeError(
      `delivery must be one of ${Object.keys(implementations).join(", ")}, but is ${JSON.stringify(delivery)}`
    )
  }
  const own: ReadonlyArray<readonly [Delivery, Readonly<Record<string, unknown>>]> = [
    ["messages", { recordFrames }],
    ["frames", { answerPings, answerClose, rsv, opcodes }]
  ]
  for (const [owner, values] of own) {
    const given = Object.keys(values).find((name) => values[name] !== undefined)
    if (given !== undefined && delivery !== owner) {
      throw new RangeError(`${given} must be left out, because it is for the delivery "${owner}", not "${delivery}"`)
    }
  }
  if (rsv !== undefined && !(Number.isInteger(rsv) && rsv >= 0 && rsv <= 7)) {
    throw new RangeError(`rsv must be an integer from 0 to 7, but is ${shown(rsv)}`)
  }
  const unreserved = opcodes?.find((opcode) => !Opcode.isReserved(opcode))
  if (unreserved !== undefined) {
    throw new RangeError(`opcodes must be reserved opcodes, 0x3 to 0x7 or 0xB to 0xF, but has ${shown(unreserved)}`)
  }
  return { delivery, answerPings, answerClose, recordFrames, rsv, opcodes }
}

/** The settings that apply to a delivery: frames are not compressed. */
export const settingsFor = <S extends Settings>(settings: S, { delivery }: Mode): S =>
  delivery === "frames" && settings.compression !== undefined ? { ...settings, compression: undefined } : settings

/** Makes a WebSocket of the given delivery. Its connection has not started. */
export const makeWebSocket = <D extends Delivery, Request>(
  role: "client" | "server",
  transport: Transport,
  settings: Settings,
  timers: Timers,
  negotiated: Negotiated,
  mode: Mode & { readonly delivery: D },
  request: Request
): WebSockets<Request>[D] => {
  // `mode` decides both what the link delivers and which class is used. Inference cannot follow this table.
  const link: Link<never> = new Link(
    isFraming(transport) ? transport[makeCore](settings) : makeConnection(role, settings, negotiated, mode),
    guarded(transport),
    settings,
    timers,
    negotiated,
    mode
  )
  observe(link)
  return new implementations[mode.delivery]<Request>(
    link,
    request
  ) as AnyWebSocketImpl<Request> as WebSockets<Request>[D]
}
