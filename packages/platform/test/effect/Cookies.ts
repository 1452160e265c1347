export * from "@effect/platform/Cookies"

export { unsafeSet as setUnsafe } from "@effect/platform/Cookies"
