internal import Encoding
internal import HTTP

/// A price of the Cloud Billing catalog.
public struct SimulatedSKU: Sendable, Hashable {
    /// `6F81-5844-456A` is Compute Engine.
    public var service: String
    public var id: String
    public var description: String
    /// `Compute`.
    public var resourceFamily: String
    /// `GPU`, `CPU`, `RAM`.
    public var resourceGroup: String
    /// `OnDemand`, `Preemptible`, `Commit1Yr`.
    public var usageType: String
    public var regions: [String]
    /// `h`, `GiBy.h`.
    public var usageUnit: String
    /// Billionths of a US dollar a unit; the first tier begins at 0.
    public var nanodollars: Int64

    public init(
        service: String = "6F81-5844-456A", id: String, description: String, resourceFamily: String = "Compute",
        resourceGroup: String, usageType: String, regions: [String], usageUnit: String = "h", nanodollars: Int64
    ) {
        self.service = service
        self.id = id
        self.description = description
        self.resourceFamily = resourceFamily
        self.resourceGroup = resourceGroup
        self.usageType = usageType
        self.regions = regions
        self.usageUnit = usageUnit
        self.nanodollars = nanodollars
    }
}

/// cloudbilling v1: the catalog that a caller has filled, and the project's account.
struct BillingAPI: CloudAPI {
    static let routes = [
        Route(.get, "v1/services", "cloudbilling.services.list"),
        Route(.get, "v1/services/{service}/skus", "cloudbilling.skus.list"),
        Route(.get, "v1/projects/{project}/billingInfo", "cloudbilling.projects.getBillingInfo"),
    ]

    private static let services = [
        "6F81-5844-456A": "Compute Engine", "E000-3F24-B8AA": "Cloud TPU", "95FF-2EF5-5EA1": "Cloud Storage",
        "152E-C115-5142": "Cloud Run", "CCD8-9BF1-090E": "Kubernetes Engine",
    ]

    var catalog: [SimulatedSKU] = []

    mutating func perform(
        _ call: APICall, in world: CloudWorld, shared: inout SharedState
    ) throws(CloudError) -> HTTPReply {
        switch call.method {
        case "cloudbilling.services.list":
            let all: [JSONValue] = Self.services.sorted { $0.key < $1.key }.map { id, name in
                [
                    "name": .string("services/\(id)"), "serviceId": .string(id), "displayName": .string(name),
                    "businessEntityName": "businessEntities/GCP",
                ]
            }
            return .json(try call.page("services", all, limit: 5000))
        case "cloudbilling.skus.list":
            guard Self.services[call["service"]] != nil else {
                throw .resourceNotFound("Service services/\(call["service"]) not found.")
            }
            let currency = call.query("currencyCode") ?? "USD"
            guard currency == "USD" else {
                throw .invalidField("currency_code", "The sandbox has prices in USD only, not in \(currency).")
            }
            let skus = catalog.filter { $0.service == call["service"] }.map { json($0, now: world.now) }
            return .json(try call.page("skus", skus, limit: 5000))
        default:
            return .json([
                "name": .string("projects/\(world.project)/billingInfo"), "projectId": .string(world.project),
                "billingAccountName": "billingAccounts/000000-000000-000000", "billingEnabled": true,
            ])
        }
    }

    private func json(_ sku: SimulatedSKU, now: Timestamp) -> JSONValue {
        var price: JSONValue = ["currencyCode": "USD"]
        price.setUnlessDefault(
            "units", .string(sku.nanodollars < 1_000_000_000 ? "0" : String(sku.nanodollars / 1_000_000_000)))
        price.setUnlessDefault("nanos", .integer(sku.nanodollars % 1_000_000_000))
        return [
            "name": .string("services/\(sku.service)/skus/\(sku.id)"), "skuId": .string(sku.id),
            "description": .string(sku.description), "serviceProviderName": "Google",
            "serviceRegions": .array(sku.regions.map(JSONValue.string)),
            "category": [
                "serviceDisplayName": .string(Self.services[sku.service] ?? ""),
                "resourceFamily": .string(sku.resourceFamily), "resourceGroup": .string(sku.resourceGroup),
                "usageType": .string(sku.usageType),
            ],
            "pricingInfo": [
                [
                    "effectiveTime": .string(now.wholeSeconds.description), "currencyConversionRate": 1,
                    "pricingExpression": [
                        "usageUnit": .string(sku.usageUnit), "displayQuantity": 1,
                        "tieredRates": [["startUsageAmount": 0, "unitPrice": price]],
                    ],
                ]
            ],
        ]
    }
}
