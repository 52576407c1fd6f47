/// A service of the catalogue.
public struct CatalogService: Decodable, Sendable, Hashable {
    /// `6F81-5844-456A`.
    public var serviceId: String
    public var displayName: String?
}

/// Whether a project is paid for.
public struct ProjectBillingInfo: Decodable, Sendable, Hashable {
    /// Absent means false: then most APIs refuse.
    public var billingEnabled: Bool?
    /// `billingAccounts/…`; empty when there is none.
    public var billingAccountName: String?
}

/// Something that is sold.
public struct SKU: Decodable, Sendable, Hashable {
    public struct Category: Decodable, Sendable, Hashable {
        /// `Compute`, `Storage`, …
        public var resourceFamily: String?
        /// `GPU`, `N1Standard`, …
        public var resourceGroup: String?
        /// `OnDemand`, `Preemptible`, `Commit1Yr`, …
        public var usageType: String?
    }

    public struct Pricing: Decodable, Sendable, Hashable {
        /// RFC 3339.
        public var effectiveTime: String?
        public var pricingExpression: Expression?
    }

    public struct Expression: Decodable, Sendable, Hashable {
        /// `h`, `GiBy.mo`, …
        public var usageUnit: String?
        public var tieredRates: [Rate]?
    }

    public struct Rate: Decodable, Sendable, Hashable {
        /// From here on, in `usageUnit`; absent means 0.
        public var startUsageAmount: Double?
        public var unitPrice: CatalogPrice?
    }

    public var skuId: String
    public var description: String?
    public var category: Category?
    public var serviceRegions: [String]?
    public var pricingInfo: [Pricing]?

    /// The first price that is not free, per `usageUnit`.
    public var unitPrice: CatalogPrice? {
        let rates = pricingInfo?.first?.pricingExpression?.tieredRates ?? []
        return rates.lazy.compactMap(\.unitPrice).first { $0.units != 0 || $0.nanos ?? 0 != 0 }
    }
}

/// A price: `units` of a currency and billionths of them.
public struct CatalogPrice: Decodable, Sendable, Hashable {
    /// ISO 4217.
    public var currencyCode: String?
    @Int64String public var units: Int64
    public var nanos: Int?

    public var amount: Double { (Double(units) * 1e9 + Double(nanos ?? 0)) / 1e9 }
}
