import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { Transport } from "../Transport.js"
import type { DeliveryOptions } from "../WebSocket.js"
import type { Environment, Mode, Opening } from "./driver.js"
import { FrameDriver } from "./frameDriver.js"
import { MessageDriver } from "./messageDriver.js"
import type { Settings } from "./settings.js"
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
  const { answerClose, answerPings } = options
  // Without one, `D` is "messages".
  const delivery = options.delivery ?? ("messages" as D)
  if (!Object.hasOwn(drivers, delivery)) {
    throw new RangeError(
      `delivery must be one of ${Object.keys(drivers).join(", ")}, but is ${JSON.stringify(delivery)}`
    )
  }
  if (delivery !== "frames" && (answerPings ?? answerClose) !== undefined) {
    throw new RangeError(`answerPings and answerClose are options of the delivery "frames", but it is "${delivery}"`)
  }
  return { delivery, answerPings, answerClose }
}

/** What of the settings holds for a delivery: frames are not compressed. */
export const settingsFor = <S extends Settings>(settings: S, { delivery }: Mode): S =>
  delivery === "frames" && settings.compression !== undefined ? { ...settings, compression: undefined } : settings

export const makeDriver = <D extends Delivery, Request>(
  role: "client" | "server",
  transport: Transport,
  settings: Settings,
  environment: Environment,
  opening: Opening<Request>,
  mode: Mode & { readonly delivery: D }
): Drivers<Request>[D] =>
  // The table above, which inference cannot see through.
  new drivers[mode.delivery]<Request>(
    role,
    transport,
    settings,
    environment,
    opening,
    mode
  ) as AnyDriver<Request> as Drivers<Request>[D]
