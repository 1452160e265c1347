import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type { Transport } from "../Transport.js"
import type { DeliveryOptions } from "../WebSocket.js"
import type { Timers } from "../engine/time/Timers.js"
import type { Mode, Opening } from "./driver.js"
import { FrameDriver } from "./frameDriver.js"
import { guarded } from "../engine/connection/GuardedTransport.js"
import { MessageDriver } from "./messageDriver.js"
import type { Settings } from "../engine/Settings.js"
import { shown } from "./settings.js"
import { StreamDriver } from "./streamDriver.js"

/** The driver of each delivery. */
export interface Drivers<Request> {
  readonly messages: MessageDriver<Request>
  readonly streams: StreamDriver<Request>
  readonly frames: FrameDriver<Request>
}

export type AnyDriver<Request = undefined> = Drivers<Request>[Delivery]

const drivers = { messages: MessageDriver, streams: StreamDriver, frames: FrameDriver }

/** How a connection of these options is driven. Throws a `RangeError` for options that belong to another delivery. */
export const resolveMode = <D extends Delivery>(options: DeliveryOptions<D>): Mode & { readonly delivery: D } => {
  const { answerClose, answerPings, opcodes, recordFrames, rsv } = options
  // Without one, `D` is "messages".
  const delivery = options.delivery ?? ("messages" as D)
  if (!Object.hasOwn(drivers, delivery)) {
    throw new RangeError(
      `delivery must be one of ${Object.keys(drivers).join(", ")}, but is ${JSON.stringify(delivery)}`
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

/** What of the settings holds for a delivery: frames are not compressed. */
export const settingsFor = <S extends Settings>(settings: S, { delivery }: Mode): S =>
  delivery === "frames" && settings.compression !== undefined ? { ...settings, compression: undefined } : settings

export const makeDriver = <D extends Delivery, Request>(
  role: "client" | "server",
  transport: Transport,
  settings: Settings,
  timers: Timers,
  opening: Opening<Request>,
  mode: Mode & { readonly delivery: D }
): Drivers<Request>[D] =>
  // The table above, which inference cannot see through.
  new drivers[mode.delivery]<Request>(
    role,
    guarded(transport),
    settings,
    timers,
    opening,
    mode
  ) as AnyDriver<Request> as Drivers<Request>[D]
