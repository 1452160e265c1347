export * from "effect/Supervisor"
