internal import Encoding

extension CloudScript {
    /// What stands before every call of an API: it must be enabled, and the caller must have the permission.
    ///
    /// - Parameters:
    ///   - service: the API's host.
    ///   - permission: IAM's word; nil asks for none.
    /// - Throws: 403 with what Google's `ErrorInfo` tells.
    func checkAccess(
        _ service: String, _ permission: String?, _ configuration: CloudConfiguration, now: Timestamp
    ) throws(CloudError) {
        let isStorage = service == "storage.googleapis.com"
        if let moment = disabledServices[service], now < moment {
            var error = EnabledServices.error(service, configuration: configuration)
            if isStorage { error.reason = "accessNotConfigured" }
            throw error
        }
        if let permission, let moment = deniedPermissions[permission], now < moment {
            throw CloudError(
                status: 403, reason: isStorage ? "forbidden" : "PERMISSION_DENIED",
                message: isStorage
                    ? "The caller does not have \(permission) access to the Google Cloud Storage resource. Permission "
                        + "'\(permission)' denied on resource (or it may not exist)."
                    : "Required \"\(permission)\" permission(s) for \"projects/\(configuration.project)\".",
                details: [
                    CloudError.errorInfo(
                        "IAM_PERMISSION_DENIED", domain: "iam.googleapis.com",
                        ["permission": permission, "resource": "projects/\(configuration.project)"])
                ])
        }
    }
}
