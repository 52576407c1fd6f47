internal import HTTP

/// A kind of name that stands in a URL. The raw value is what an error calls it.
enum NameKind: String, Sendable, CaseIterable {
    case project
    case location
    /// For lists that can span locations: also `-`, all of them.
    case locationOrAll = "location (or - for all)"
    case region
    case zone
    case cluster
    case nodePool = "node pool"
    case operation
    case bucket
    case object
    case notification
    case serviceAccount = "service account"
    case runService = "service"
    case revision
    case tpuNode = "TPU node"
    case queuedResource = "queued resource"
    case requestID = "request id"
    case machineType = "machine type"
    case reservation
    case instanceGroup = "instance group"
    case apiService = "API"
    case catalogService = "catalogue service"
    case imageRepository = "image repository"
    case imagePackage = "image"
    case imageTag = "image tag"
    case imageDigest = "image digest"

    /// - Returns: the name.
    /// - Throws: `.invalid` with the kind, the name and the rule.
    @discardableResult
    func check(_ name: String, operation: String) throws(APIError) -> String {
        guard accepts(name) else {
            throw APIError(
                .invalid, operation: operation,
                message: "the \(rawValue) \"\(NameKind.shown(name))\" is not valid: \(rule)")
        }
        return name
    }

    func accepts(_ name: String) -> Bool {
        switch self {
        case .project: GoogleNames.isProject(name)
        case .location, .region, .zone: GoogleNames.isLocation(name)
        case .locationOrAll: name == "-" || GoogleNames.isLocation(name)
        case .cluster, .nodePool: GoogleNames.isResource(name)
        case .operation: GoogleNames.isOperationID(name)
        case .bucket: GoogleNames.isBucket(name)
        case .object: GoogleNames.isObject(name)
        case .notification: GoogleNames.isNumber(name)
        case .serviceAccount: GoogleNames.isServiceAccount(name)
        case .runService: GoogleNames.isLabel(name, maximumLength: 49)
        case .revision, .tpuNode, .queuedResource, .machineType, .reservation, .instanceGroup:
            GoogleNames.isLabel(name, maximumLength: 63)
        case .requestID: GoogleNames.isUUID(name)
        case .apiService: GoogleNames.isDomain(name)
        case .catalogService: GoogleNames.isCatalogService(name)
        case .imageRepository: GoogleNames.isLabel(name, maximumLength: 63)
        case .imagePackage: GoogleNames.isImagePath(name)
        case .imageTag: GoogleNames.isImageTag(name)
        case .imageDigest: GoogleNames.isImageDigest(name)
        }
    }

    var rule: String {
        switch self {
        case .project: "a project id has at most 30 lower-case letters, digits and '-' (or is DOMAIN:ID, or a number)"
        case .location, .region, .zone, .cluster, .nodePool, .locationOrAll: NameKind.labelRule(40)
        case .operation: "letters, digits, '-', '.' and '_', at most 200"
        case .bucket: "3 to 63 (with dots 222) lower-case letters, digits, '-', '_' and '.'"
        case .object: "1 to 1024 bytes without line breaks, not '.' or '..'"
        case .notification: "a number"
        case .serviceAccount: "an e-mail address"
        case .runService: NameKind.labelRule(49)
        case .revision, .tpuNode, .queuedResource, .machineType, .reservation, .instanceGroup: NameKind.labelRule(63)
        case .requestID: "a uuid that is not all zero"
        case .apiService: "a host name such as container.googleapis.com"
        case .imageRepository: NameKind.labelRule(63)
        case .imagePackage: "at most 255 lower-case letters, digits, '.', '_', '-' and '/'"
        case .imageTag: "at most 128 letters, digits, '.', '_' and '-', no '.' or '-' first"
        case .imageDigest: "sha256: and 64 hexadecimal digits"
        case .catalogService: "three times four hexadecimal digits, such as 6F81-5844-456A"
        }
    }

    private static func labelRule(_ maximumLength: Int) -> String {
        "at most \(maximumLength) lower-case letters, digits and '-', a letter first and no '-' last"
    }

    /// At most 64 characters, on one line and in ASCII: names may come from anybody.
    static func shown(_ name: String) -> String {
        let scalars = name.unicodeScalars.prefix(64).map { $0.escaped(asASCII: true) }.joined()
        return scalars + (name.unicodeScalars.dropFirst(64).isEmpty ? "" : "...")
    }
}
