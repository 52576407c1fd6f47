import Encoding
import HTTP

/// How a reply of the cloud differs from what its API describes today.
public enum ReplyChange: Sendable, Hashable {
    /// Every text member of that name has a word that no client knows yet.
    case unknownWord(field: String)
    /// Every message has a member that no client knows yet.
    case newFields
    /// The numbers in members of these names are strings, as Google writes 64-bit integers.
    case integersAsStrings(fields: Set<String>)
    /// Members that have their default values (0, false, "", an empty list) are left out.
    case defaultsOmitted
    /// A list lacks every second of its entries, at least one; with `unreachable` it says that these locations could
    /// not be asked, else it says nothing.
    case incompleteList(unreachable: [String] = [])

    /// The word of `unknownWord`.
    public static let unknownWord = "SOMETHING_NEW"
    /// The member of `newFields`.
    public static let newField = "trainyardDidNotKnow"

    /// Maps, whose keys are the user's: a member more would be a label more.
    private static let maps: Set<String> = [
        "labels", "resourceLabels", "metadata", "annotations", "limits", "nodeSelector", "custom_attributes",
    ]
    /// Members of lists that are no entries.
    private static let sideLists: Set<String> = ["unreachable", "missingZones", "prefixes", "warnings"]

    /// The reply as it is told; errors and bytes stay as they are.
    func changed(_ reply: HTTPReply) -> HTTPReply {
        guard (200..<300).contains(reply.status), case .bytes(let bytes) = reply.body,
            let value = try? JSONValue(parsing: bytes), value.objectValue != nil  // Media is no JSON.
        else { return reply }
        var result = reply
        result.body = .bytes(changed(value).serialized())
        return result
    }

    private func changed(_ value: JSONValue) -> JSONValue {
        switch self {
        case .incompleteList(let unreachable): ReplyChange.incomplete(value, unreachable)
        default: changed(value, isMap: false)
        }
    }

    private func changed(_ value: JSONValue, isMap: Bool) -> JSONValue {
        if let items = value.arrayValue { return .array(items.map { changed($0, isMap: false) }) }
        guard var members = value.objectValue, !isMap else { return value }
        for (key, member) in members {
            switch self {
            case .unknownWord(let field):
                if key == field, member.stringValue != nil { members[key] = .string(ReplyChange.unknownWord) }
            case .integersAsStrings(let fields):
                if fields.contains(key), let number = member.integerValue { members[key] = .string(String(number)) }
            case .defaultsOmitted:
                if ReplyChange.isDefault(member) { members.removeValue(forKey: key) }
            case .newFields, .incompleteList: break
            }
            if let changed = members[key], changed.objectValue != nil || changed.arrayValue != nil {
                members[key] = self.changed(changed, isMap: ReplyChange.maps.contains(key))
            }
        }
        if case .newFields = self { members[ReplyChange.newField] = ["since": "2027", "values": [1, 2]] }
        return .object(members)
    }

    private static func isDefault(_ value: JSONValue) -> Bool {
        value == 0 || value == "0" || value == false || value == "" || value == []
    }

    private static func incomplete(_ value: JSONValue, _ unreachable: [String]) -> JSONValue {
        var value = value
        for (key, member) in value.objectValue ?? [:] where !sideLists.contains(key) {
            guard let items = member.arrayValue, items.allSatisfy({ $0.objectValue != nil }) else { continue }
            let kept = items.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
            if kept.isEmpty { value[key] = nil } else { value[key] = .array(kept) }
        }
        if !unreachable.isEmpty { value["unreachable"] = .array(unreachable.map(JSONValue.string)) }
        return value
    }
}
