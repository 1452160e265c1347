import { defineProject, mergeConfig } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

export default mergeConfig(shared, defineProject({ test: { name: "topics-nats", setupFiles: [restoreIt] } }))
