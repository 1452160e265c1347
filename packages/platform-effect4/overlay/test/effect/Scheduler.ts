export * from "effect/Scheduler"
