import { ProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type { Transport } from "../../Transport.js"
import { attempted, Defect } from "../Defect.js"
import type { Settings } from "../Settings.js"
import type { Acceptance } from "./Check.js"
import { rejectAttempt } from "./Refused.js"
import type { ServerRequest } from "./ServerRequest.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/** What a client and the server have agreed on. */
export interface Upgraded<Request> {
  readonly request: Request
  readonly url: string
  readonly agreement: Handshake.Agreement
  readonly deflate: PermessageDeflate.Agreement | undefined
}

/** Makes connections of one delivery. */
export interface Connector<C, Request> {
  /** The settings of such a connection: those of its server, without those that do not apply to the delivery. */
  settingsFor(settings: Settings): Settings
  make(transport: Transport, settings: Settings, upgraded: Upgraded<Request>): C
}

/** A request to accept, whether the library or the app has read it. */
interface Answering<Request> {
  /** Without a key it is a request of HTTP/2. */
  readonly offer: Pick<Handshake.Offer, "protocols" | "extensions"> & { readonly key: string | undefined }
  readonly protocol: string | undefined
  /** Headers in addition to those of the handshake. */
  readonly headers?: HeaderRecord | undefined
  readonly url: string
  readonly request: Request
  readonly upgrade: (headers: HeaderRecord) => Transport
}

const noAgreement: Handshake.Agreement = { protocol: undefined, extensions: [] }

/** Makes a connection and answers 101, or 200 over HTTP/2, in one step, so that there is never one without the other. */
export const answer = <C, Request>(
  { headers: extra, offer, protocol, request, upgrade, url }: Answering<Request>,
  own: Settings,
  connector: Connector<C, Request>
): C | ProtocolError => {
  const settings = connector.settingsFor(own)
  const { compression } = settings
  const deflate = compression && PermessageDeflate.accept(offer.extensions ?? [], compression.settings)
  const agreement =
    protocol === undefined && deflate === undefined
      ? noAgreement
      : { protocol, extensions: deflate === undefined ? [] : [deflate.extension] }
  const { extensions, key, protocols } = offer
  const headers =
    key === undefined
      ? ExtendedConnect.responseHeaders(offer, agreement, extra)
      : Handshake.responseHeaders({ key, protocols, extensions }, agreement, extra)
  if (headers instanceof ProtocolError) return headers
  return connector.make(upgrade(headers), settings, { request, url, agreement, deflate })
}

/** A request that was accepted. */
export interface AcceptedRequest {
  readonly attempt: UpgradeAttempt
  readonly request: ServerRequest
  readonly select: Subprotocol.Selector
  readonly accepted: Acceptance
}

/** An accepted request, with all that the app decides about its connection. */
export interface PreparedRequest extends AcceptedRequest {
  readonly settings: Settings
  readonly protocol: string | undefined
}

/** Asks the app for what is still to decide about an accepted request, or answers 500. */
export const prepare = (accepted: AcceptedRequest, shared: Settings): PreparedRequest | Defect => {
  const { attempt, request, select } = accepted
  const settings = accepted.accepted.settings ?? shared
  if (settings instanceof Defect) return cannotOpen(attempt, settings)
  const protocol = attempted(() => selectProtocol(request, accepted.accepted.protocol, select))
  if (protocol instanceof Defect) return cannotOpen(attempt, protocol)
  return { attempt, request, select, accepted: accepted.accepted, settings, protocol }
}

/** Opens the connection of a request, or answers 500. It asks the app for nothing but the 101. */
export const open = <C extends object>(
  { accepted, attempt, protocol, request, settings }: PreparedRequest,
  connector: Connector<C, ServerRequest>
): C | ProtocolError | Defect => {
  const upgrade = (headers: HeaderRecord): Transport => attempt.upgrade(headers)
  const answering = { offer: request, protocol, headers: accepted.headers, url: request.url, request, upgrade }
  // Only the attempt can have thrown this error, and it may have answered before that.
  const connection = attempted(() => answer(answering, settings, connector))
  if (connection instanceof ProtocolError) {
    rejectAttempt(attempt, 500, {}, "The server's answer to the handshake is not valid", "error")
    return connection
  }
  if (connection instanceof Defect || accepted.value === undefined) return connection
  // Connections without a value do not get the property.
  return Object.assign(connection, { value: accepted.value })
}

const cannotOpen = (attempt: UpgradeAttempt, defect: Defect): Defect => {
  rejectAttempt(attempt, 500, {}, "The server cannot open the connection", "error")
  return defect
}

/** The subprotocol to use. There is none if the client offers none, whatever the app would select. */
const selectProtocol = (
  { protocols }: ServerRequest,
  accepted: string | undefined,
  select: Subprotocol.Selector
): string | undefined =>
  accepted === undefined || protocols.length === 0 ? Subprotocol.select(select, protocols) : accepted
