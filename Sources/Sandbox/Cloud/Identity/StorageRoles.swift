/// What the predefined roles of Cloud Storage allow, as far as they speak of buckets and objects.
/// <https://cloud.google.com/storage/docs/access-control/iam-roles>
enum StorageRoles {
    private static let objectPermissions: Set<String> = [
        "storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.getIamPolicy",
        "storage.objects.list", "storage.objects.restore", "storage.objects.setIamPolicy", "storage.objects.update",
        "storage.multipartUploads.abort", "storage.multipartUploads.create", "storage.multipartUploads.list",
        "storage.multipartUploads.listParts",
    ]

    private static let bucketPermissions: Set<String> = [
        "storage.buckets.create", "storage.buckets.delete", "storage.buckets.get", "storage.buckets.getIamPolicy",
        "storage.buckets.list", "storage.buckets.restore", "storage.buckets.setIamPolicy", "storage.buckets.update",
    ]

    private static let policyOfObjects: Set<String> = ["storage.objects.getIamPolicy", "storage.objects.setIamPolicy"]

    private static let permissions: [String: Set<String>] = [
        "roles/owner": bucketPermissions.union(objectPermissions),
        "roles/storage.admin": bucketPermissions.union(objectPermissions),
        "roles/storage.objectAdmin": objectPermissions,
        "roles/storage.objectUser": objectPermissions.subtracting(policyOfObjects),
        "roles/storage.objectViewer": ["storage.objects.get", "storage.objects.list"],
        "roles/storage.objectCreator": [
            "storage.objects.create", "storage.multipartUploads.abort", "storage.multipartUploads.create",
            "storage.multipartUploads.listParts",
        ],
        "roles/storage.bucketViewer": ["storage.buckets.get", "storage.buckets.list"],
        "roles/storage.legacyBucketReader": [
            "storage.buckets.get", "storage.objects.list", "storage.multipartUploads.list",
        ],
        "roles/storage.legacyBucketWriter": [
            "storage.buckets.get", "storage.objects.create", "storage.objects.delete", "storage.objects.list",
            "storage.objects.restore", "storage.multipartUploads.abort", "storage.multipartUploads.create",
            "storage.multipartUploads.list", "storage.multipartUploads.listParts",
        ],
        "roles/storage.legacyBucketOwner": [
            "storage.buckets.get", "storage.buckets.getIamPolicy", "storage.buckets.setIamPolicy",
            "storage.buckets.update", "storage.objects.create", "storage.objects.delete", "storage.objects.list",
            "storage.objects.restore", "storage.multipartUploads.abort", "storage.multipartUploads.create",
            "storage.multipartUploads.list", "storage.multipartUploads.listParts",
        ],
        "roles/storage.legacyObjectReader": ["storage.objects.get"],
    ]

    /// The roles that allow something; none for a permission that is not of buckets or objects.
    static func roles(allowing permission: String) -> [String] {
        permissions.filter { $0.value.contains(permission) }.keys.sorted()
    }
}
