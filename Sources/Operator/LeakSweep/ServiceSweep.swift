import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Synchronization

/// Cloud Run services whose ModelEndpoint is gone.
///
/// Only those that say of themselves that they go with their object (`Ownership.onDeletionLabel`): an orphan that was to
/// stay is no leak. Cloud Run is listed by region: that of the cluster, and those in which an endpoint was seen since the
/// start.
final class ServiceSweep: Sendable {
    typealias Report = LeakSweeper.Report

    private let configuration: OperatorConfiguration
    private let options: LeakSweepOptions
    private let run: RunClient
    private let clock: RuntimeClock
    private let endpoints: ObjectStore<ModelEndpoint>
    private let report: @Sendable (Report) -> Void
    private let state: Mutex<(sweep: LeakSweep, regions: Set<String>)>

    init(
        configuration: OperatorConfiguration, options: LeakSweepOptions, run: RunClient, cache: ObjectCache,
        clock: RuntimeClock, report: @escaping @Sendable (Report) -> Void
    ) {
        self.configuration = configuration
        self.options = options
        self.run = run
        self.clock = clock
        self.report = report
        endpoints = cache.store(ModelEndpoint.self)
        let home = configuration.cluster.location
        // A zone has one part more than its region.
        let region = home.split(separator: "-").count > 2 ? PriceTable.region(ofZone: home) : home
        state = Mutex((LeakSweep(options: options), [region]))
    }

    /// One sweep: the cloud first, the cluster second, as for node pools.
    ///
    /// - Returns: how many leaks there are; nil when something could not be listed: then nothing was judged.
    func sweep(_ duty: ControllerManager.Duty) async -> Int? {
        do throws(APIError) {
            let found = Set(endpoints.objects().compactMap { $0.spec.backend.cloudRun?.location })
            let regions = state.withLock { state in
                state.regions.formUnion(found)
                return state.regions.sorted()
            }
            var services: [LeakSweep.Pool] = []
            for region in regions {
                let location = LocationName(project: configuration.cluster.project, location: region)
                services += try await run.services(in: location).items.compactMap {
                    LeakSweep.Pool($0, clusterUID: configuration.clusterUID)
                }
            }
            guard !services.isEmpty else { return 0 }
            let live = try await LeakSweeper.liveOwners(ModelEndpoint.resourceType, duty.kubernetes)
            let now = clock.uptime
            let verdict = state.withLock { $0.sweep.judge(services, owners: live, now: now) }
            for service in verdict.new { tell(service, duty) }
            for service in verdict.deletions { await delete(service, duty) }
            return verdict.leaks.count
        } catch {
            if error.code != .cancelled { report(.incomplete(error)) }
            return nil
        }
    }

    private func tell(_ service: LeakSweep.Pool, _ duty: ControllerManager.Duty) {
        let next =
            options.mode == .dryRun
            ? "reported only (dry run)" : "deleted after \(options.grace.components.seconds) s"
        duty.tell(
            Event(
                .warning, reason: "LeakFound", action: "Sweep",
                message: "the Cloud Run service \(service.name) belongs to no ModelEndpoint of this cluster: \(next)"))
        report(.found(service.name))
    }

    /// Reads the service again, and deletes it when it is still the one that was judged.
    private func delete(_ service: LeakSweep.Pool, _ duty: ControllerManager.Duty) async {
        guard let place = ModelEndpointService.place(of: "//run.googleapis.com/\(service.name)") else { return }
        do throws(APIError) {
            let live = try await run.service(place.id, in: place.location)
            guard live.deleteTime == nil,
                LeakSweep.Pool(live, clusterUID: configuration.clusterUID)?.ownerUID == service.ownerUID
            else { return }
            let now = clock.uptime
            state.withLock { $0.sweep.deleted(now: now) }
            _ = try await run.deleteService(place.id, etag: live.etag, in: place.location)
            duty.tell(
                Event(
                    .normal, reason: "LeakDeleted", action: "Sweep",
                    message: "the Cloud Run service \(service.name) had no owner for "
                        + "\(options.grace.components.seconds) s"))
            report(.deleted(service.name))
        } catch {
            if ![.cancelled, .notFound].contains(error.code) { report(.deletionFailed(service.name, error)) }
        }
    }
}

extension LeakSweep.Pool {
    /// nil when the service does not carry the labels of an object of this cluster, or was to outlive it.
    init?(_ service: RunService, clusterUID: String) {
        guard let owner = ResourceOwner(service), owner.clusterUID == clusterUID,
            service.configuration.labels?[Ownership.onDeletionLabel] == Ownership.goesWithObject
        else { return nil }
        self.init(name: service.name, ownerUID: owner.ownerUID, isStopping: service.deleteTime != nil)
    }
}
