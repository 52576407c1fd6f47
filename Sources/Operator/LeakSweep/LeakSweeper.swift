public import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP
import Kubernetes
import Synchronization

/// Sweeps the cluster's node pools for those without an owner, as long as this replica leads.
public final class LeakSweeper: Sendable {
    /// What became of a sweep, for logs and metrics.
    public enum Report: Sendable, Hashable {
        /// Everything was listed: so many leaks, what they cost an hour, and how many wait for the limit.
        case complete(leakCount: Int, hourlyCost: Money, postponedCount: Int)
        /// Something could not be listed: nothing was judged.
        case incomplete(APIError)
        /// A leak was seen for the first time.
        case found(String)
        case deleted(String)
        case deletionFailed(String, APIError)
    }

    private let configuration: OperatorConfiguration
    private let options: LeakSweepOptions
    private let container: ContainerClient
    private let clock: RuntimeClock
    private let owners: ObjectStore<TrainingJob>
    private let nodes: ObjectStore<Node>
    private let report: @Sendable (Report) -> Void
    private let state: Mutex<LeakSweep>
    private let services: ServiceSweep?

    /// - Parameters:
    ///   - container: its transport must be gated, as the controllers' is.
    ///   - run: sweeps Cloud Run services too; nil leaves them alone.
    ///   - report: hears what was found and done.
    public init(
        configuration: OperatorConfiguration, options: LeakSweepOptions, container: ContainerClient,
        run: RunClient? = nil, cache: ObjectCache, clock: RuntimeClock, report: @escaping @Sendable (Report) -> Void
    ) {
        self.configuration = configuration
        self.options = options
        self.container = container
        self.clock = clock
        self.report = report
        owners = cache.store(TrainingJob.self)
        nodes = cache.store(Node.self, labelSelector: Ownership.jobLabel)
        state = Mutex(LeakSweep(options: options))
        services = run.map {
            ServiceSweep(
                configuration: configuration, options: options, run: $0, cache: cache, clock: clock, report: report)
        }
    }

    /// Sweeps at every interval until the task is cancelled.
    public func run(_ duty: ControllerManager.Duty) async {
        while !Task.isCancelled {
            await sweep(duty)
            guard (try? await clock.sleep(for: options.interval)) != nil else { return }  // Cancelled.
        }
    }

    /// One sweep: the cloud first, the cluster second, so that what is made meanwhile has its owner in the second list.
    func sweep(_ duty: ControllerManager.Duty) async {
        let serviceCount = await services?.sweep(duty) ?? 0
        do throws(APIError) {
            let pools = try await container.nodePools(in: configuration.cluster).compactMap { pool in
                LeakSweep.Pool(pool, clusterUID: configuration.clusterUID, hourlyCost: hourlyCost(pool))
            }
            let known = Set(owners.objects().compactMap(\.metadata.uid))
            // The store says whom nobody need ask for; that an object is not there is only believed to the API server.
            let live =
                pools.allSatisfy { known.contains($0.ownerUID) }
                ? known : try await Self.liveOwners(TrainingJob.resourceType, duty.kubernetes)
            let now = clock.uptime
            let verdict = state.withLock { $0.judge(pools, owners: live, now: now) }
            for pool in verdict.new { tell(pool, duty) }
            for pool in verdict.deletions { await delete(pool, duty) }
            report(
                .complete(
                    leakCount: verdict.leaks.count + serviceCount, hourlyCost: verdict.hourlyCost,
                    postponedCount: verdict.postponedCount))
        } catch {
            if error.code != .cancelled { report(.incomplete(error)) }
        }
    }

    /// The uids of all objects of a kind in all namespaces, read live and to the end.
    static func liveOwners(
        _ type: ResourceType, _ kubernetes: KubernetesClient
    ) async throws(APIError) -> Set<String> {
        var uids: Set<String> = []
        var token: String?
        repeat {
            let page = try await kubernetes.listPage(
                type, continueToken: token, metadataOnly: true)
            for item in page.items {
                guard let uid = item.value(at: ["metadata", "uid"])?.stringValue else {
                    throw APIError(
                        .malformedResponse, operation: "GET \(type.plural)", message: "an object without a uid")
                }
                uids.insert(uid)
            }
            token = page.continueToken
        } while token != nil
        return uids
    }

    private func hourlyCost(_ pool: NodePool) -> Money? {
        guard let config = pool.config, let zone = pool.locations?.first else { return nil }
        let accelerator = config.accelerators?.first
        let machines = accelerator?.acceleratorType.flatMap(Accelerator.named)?.machines ?? []
        guard
            let machine = machines.first(where: {
                $0.type == config.machineType && Int64($0.acceleratorCount) == accelerator?.acceleratorCount
            }),
            let price = configuration.prices.hourlyPrice(
                of: machine, accelerator: accelerator?.acceleratorType ?? "",
                model: config.spot == true ? .spot : .standard, region: PriceTable.region(ofZone: zone))
        else { return nil }
        let nodeCount = nodes.objects { $0.metadata.labels?["cloud.google.com/gke-nodepool"] == pool.name }.count
        return price * nodeCount
    }

    private func tell(_ pool: LeakSweep.Pool, _ duty: ControllerManager.Duty) {
        let cost = pool.hourlyCost.map { ", \($0.display) an hour" } ?? ""
        let next = options.mode == .dryRun ? "reported only (dry run)" : "deleted after \(options.grace.wholeSeconds) s"
        duty.tell(
            Event(
                .warning, reason: "LeakFound", action: "Sweep",
                message: "node pool \(pool.name) (run \(pool.run)\(cost)) belongs to no object of this cluster: \(next)"
            ))
        report(.found(pool.name))
    }

    /// Reads the pool again, and deletes it when it is still the one that was judged.
    private func delete(_ pool: LeakSweep.Pool, _ duty: ControllerManager.Duty) async {
        do throws(APIError) {
            let live: NodePool
            do throws(APIError) {
                live = try await container.nodePool(pool.name, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
            guard live.status != .stopping,
                Ownership.isOurs(live, ownerUID: pool.ownerUID, clusterUID: configuration.clusterUID)
            else { return }
            let now = clock.uptime
            state.withLock { $0.deleted(now: now) }
            do throws(APIError) {
                _ = try await container.deleteNodePool(pool.name, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
            duty.tell(
                Event(
                    .normal, reason: "LeakDeleted", action: "Sweep",
                    message: "node pool \(pool.name) (run \(pool.run)) had no owner for \(options.grace.wholeSeconds) s"
                ))
            report(.deleted(pool.name))
        } catch {
            if error.code != .cancelled { report(.deletionFailed(pool.name, error)) }
        }
    }
}

extension Duration {
    fileprivate var wholeSeconds: Int64 { components.seconds }
}
