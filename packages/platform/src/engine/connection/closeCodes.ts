import * as CloseCode from "@effect-websocket/protocol/CloseCode"

export const abnormalClosure = CloseCode.fromName("AbnormalClosure")
export const goingAway = CloseCode.fromName("GoingAway")
export const policyViolation = CloseCode.fromName("PolicyViolation")
export const messageTooBig = CloseCode.fromName("MessageTooBig")
export const tryAgainLater = CloseCode.fromName("TryAgainLater")
export const internalError = CloseCode.fromName("InternalError")
export const unsupportedData = CloseCode.fromName("UnsupportedData")
export const invalidPayload = CloseCode.fromName("InvalidPayloadData")
