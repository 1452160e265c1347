/** A link over a fake WebSocket of a platform. */
import type { Message } from "@effect-websocket/protocol/Message"
import { Link } from "../../../src/engine/connection/Link.js"
import { MessageSender } from "../../../src/engine/connection/MessageSender.js"
import type { Settings } from "../../../src/engine/Settings.js"
import { NativeConnection } from "../../../src/engine/native/NativeConnection.js"
import { NativeTransport } from "../../../src/engine/native/NativeTransport.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { settings as defaults } from "../connection/open.js"
import { ManualClock } from "../ManualClock.js"
import { FakeSocket } from "./FakeSocket.js"

export const openNative = (choice: Partial<Settings> = {}) => {
  const settings = { ...defaults, ...choice }
  const maxUnreadBytes = settings.receiveHighWaterMark
  const socket = new FakeSocket()
  const clock = new ManualClock()
  const connection = new NativeConnection(socket, { ...settings, maxUnreadBytes })
  const transport = new NativeTransport(socket)
  transport.connection = connection
  const negotiated = { url: "ws://test", agreement: { protocol: undefined, extensions: [] } }
  const link = new Link<Message>(connection, transport, settings, new Timers(clock), negotiated, {
    delivery: "messages"
  })
  const sender = new MessageSender(link)
  link.sender = sender
  link.start()
  return { clock, connection, link, sender, socket, unread: () => link.inbox.takeAll().map(({ data }) => data) }
}
