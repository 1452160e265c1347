export * from "effect/Channel"
