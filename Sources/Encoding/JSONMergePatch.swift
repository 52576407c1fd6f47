extension JSONValue {
    /// The JSON merge patch (RFC 7386) that turns `old` into this value: changed members as they are now, members that
    /// are no longer there as null, arrays whole. What is in neither is not spoken of, so that it stays where the patch
    /// is applied to more than `old` shows.
    ///
    /// A null in this value cannot be said by a merge patch: it removes the member.
    public func mergePatch(from old: JSONValue) -> JSONValue {
        guard case .object(let new) = self, case .object(let old) = old else { return self }
        var patch: [String: JSONValue] = [:]
        for (name, value) in new where value != old[name] {
            patch[name] = old[name].map { value.mergePatch(from: $0) } ?? value
        }
        for name in old.keys where new[name] == nil { patch[name] = .null }
        return .object(patch)
    }
}
