/// Where the services differ from their discovery documents.
enum DiscoveryExceptions {
    /// Said to be required, and not enforced.
    static let notEnforced: Set<String> = [
        "container.v1/UpdateNodePoolRequest.nodeVersion", "container.v1/UpdateNodePoolRequest.imageType",
        // A patch with an update mask may leave it out.
        "run.v2/GoogleCloudRunV2Service.template",
        // The request as a whole may say them.
        "logging.v2/LogEntry.logName", "logging.v2/LogEntry.resource",
    ]

    static let notEnforcedQuery: Set<String> = [
        // An older name of what the path says.
        "cloudbuild.v1/projectId"
    ]

    /// Enumerations that lag behind the service.
    static let openWords: Set<String> = [
        "aiplatform.v1/GoogleCloudAiplatformV1MachineSpec.acceleratorType", "tpu.v2/AcceleratorConfig.type",
        "tpu.v2alpha1/AcceleratorConfig.type",
    ]

    /// storage.v1 marks nothing as output only; it ignores these silently.
    static let outputOnly: Set<String> = {
        let common = [
            "kind", "id", "selfLink", "metageneration", "timeCreated", "updated", "etag", "generation", "owner",
        ]
        let bucket = [
            "projectNumber", "locationType", "softDeleteTime", "hardDeleteTime", "satisfiesPZI", "satisfiesPZS",
        ]
        let object = [
            "size", "mediaLink", "componentCount", "softDeleteTime", "hardDeleteTime", "timeDeleted", "timeFinalized",
            "timeStorageClassUpdated", "retentionExpirationTime", "restoreToken",
        ]
        let members: [(String, [String])] = [
            ("Bucket", common + bucket), ("Object", common + object),
            ("Notification", ["id", "kind", "selfLink", "etag"]),
            ("Bucket.autoclass", ["toggleTime", "terminalStorageClassUpdateTime"]),
            ("Bucket.retentionPolicy", ["effectiveTime", "isLocked"]), ("Bucket.softDeletePolicy", ["effectiveTime"]),
        ]
        return Set(members.flatMap { schema, names in names.map { "storage.v1/\(schema).\($0)" } })
    }()
}
