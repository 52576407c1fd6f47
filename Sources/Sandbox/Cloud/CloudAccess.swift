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
            let number = configuration.projectNumber
            throw CloudError(
                status: 403, reason: isStorage ? "accessNotConfigured" : "PERMISSION_DENIED",
                message:
                    "\(service) has not been used in project \(number) before or it is disabled. Enable it by "
                    + "visiting https://console.developers.google.com/apis/api/\(service)/overview?project=\(number) then "
                    + "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our "
                    + "systems and retry.",
                info: CloudError.Info(
                    reason: "SERVICE_DISABLED", domain: "googleapis.com",
                    metadata: ["service": service, "consumer": "projects/\(number)"]))
        }
        if let permission, let moment = deniedPermissions[permission], now < moment {
            throw CloudError(
                status: 403, reason: isStorage ? "forbidden" : "PERMISSION_DENIED",
                message: isStorage
                    ? "The caller does not have \(permission) access to the Google Cloud Storage resource. Permission "
                        + "'\(permission)' denied on resource (or it may not exist)."
                    : "Required \"\(permission)\" permission(s) for \"projects/\(configuration.project)\".",
                info: CloudError.Info(
                    reason: "IAM_PERMISSION_DENIED", domain: "iam.googleapis.com",
                    metadata: ["permission": permission, "resource": "projects/\(configuration.project)"]))
        }
    }
}
