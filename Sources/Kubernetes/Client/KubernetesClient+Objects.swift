public import Encoding
public import HTTP

/// Everything that a list returned.
public struct ObjectList<Item: Sendable>: Sendable {
    public var items: [Item]
    /// Where a watch continues.
    public var resourceVersion: String

    public init(items: [Item], resourceVersion: String) {
        self.items = items
        self.resourceVersion = resourceVersion
    }
}

/// One page of a list, not decoded yet.
public struct ListPage: Sendable {
    public var items: [JSONElement]
    public var resourceVersion: String
    /// nil on the last page.
    public var continueToken: String?
}

extension KubernetesClient {
    /// Reads one object as JSON.
    ///
    /// - Throws: `.notFound` and what `send` throws.
    public func get(_ type: ResourceType, namespace: String?, name: String) async throws(APIError) -> JSONValue {
        try await send(.get(type, namespace: namespace, name: name))
    }

    /// Reads one object.
    ///
    /// - Throws: `.notFound`, `.malformedResponse` when it does not decode, and what `send` throws.
    public func get<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, namespace: String?, name: String
    ) async throws(APIError) -> Object {
        let request = KubernetesRequest.get(type.resourceType, namespace: namespace, name: name)
        return try await read(request).object(type, operation: request.operation)
    }

    /// Reads one object; nil when it is not there.
    public func find<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, namespace: String?, name: String
    ) async throws(APIError) -> Object? {
        do throws(APIError) {
            return try await get(type, namespace: namespace, name: name)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// Reads one object as JSON; nil when it is not there.
    public func find(_ type: ResourceType, namespace: String?, name: String) async throws(APIError) -> JSONValue? {
        do throws(APIError) {
            return try await get(type, namespace: namespace, name: name)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// Reads one page.
    ///
    /// - Parameter metadataOnly: the items come without spec and status.
    /// - Throws: `.expired` when the continue token is too old: start again.
    public func listPage(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), limit: Int = 500,
        continueToken: String? = nil, resourceVersion: String? = nil, metadataOnly: Bool = false
    ) async throws(APIError) -> ListPage {
        var request = KubernetesRequest.list(
            type, selection, limit: limit, continueToken: continueToken, resourceVersion: resourceVersion)
        if metadataOnly { request = request.forMetadata() }
        let reply = try await read(request)
        guard let version = reply.value(at: ["metadata", "resourceVersion"])?.stringValue else {
            throw APIError(malformed: "a list without metadata.resourceVersion", operation: request.operation)
        }
        let token = reply.value(at: ["metadata", "continue"])?.stringValue
        return ListPage(
            items: reply["items"]?.elements ?? [], resourceVersion: version,
            continueToken: token.flatMap { $0.isEmpty ? nil : $0 })
    }

    /// Reads all pages as JSON; starts again, twice at most, when a continue token expires on the way.
    public func list(
        _ type: ResourceType, _ selection: ObjectSelection = ObjectSelection(), pageSize: Int = 500
    ) async throws(APIError) -> ObjectList<JSONValue> {
        try await list(type, selection, pageSize: pageSize) { item throws(APIError) in item.value }
    }

    /// Reads all objects of a kind.
    ///
    /// - Throws: `.malformedResponse` when one of them does not decode, and what `send` throws.
    public func list<Object: KubernetesResource>(
        _ type: Object.Type = Object.self, _ selection: ObjectSelection = ObjectSelection()
    ) async throws(APIError) -> ObjectList<Object> {
        let operation = "GET \(type.resourceType.plural)"
        return try await list(type.resourceType, selection, pageSize: 500) { item throws(APIError) in
            try item.object(type, operation: operation)
        }
    }

    private func list<Item: Sendable>(
        _ type: ResourceType, _ selection: ObjectSelection, pageSize: Int,
        read: (JSONElement) throws(APIError) -> Item
    ) async throws(APIError) -> ObjectList<Item> {
        for _ in 0..<2 {
            do throws(APIError) {
                return try await listOnce(type, selection, pageSize: pageSize, read: read)
            } catch  where error.code == .expired {
                continue
            }
        }
        return try await listOnce(type, selection, pageSize: pageSize, read: read)
    }

    private func listOnce<Item: Sendable>(
        _ type: ResourceType, _ selection: ObjectSelection, pageSize: Int,
        read: (JSONElement) throws(APIError) -> Item
    ) async throws(APIError) -> ObjectList<Item> {
        var items: [Item] = []
        var token: String?
        while true {
            let page = try await listPage(type, selection, limit: pageSize, continueToken: token)
            for item in page.items { items.append(try read(item)) }
            guard let next = page.continueToken else {
                return ObjectList(items: items, resourceVersion: page.resourceVersion)
            }
            token = next
        }
    }
}
