/// The messages that container v1 takes for node pools, from Google's discovery document of 2026-10-27.
///
/// One message a paragraph: its name, then `field:type`. Types: string, int32, int64, bool, number, duration, `(A|B)` an
/// enumeration, `[T]` a list, `{T}` a map, `-` output only, any other word a message.
enum ContainerSchema {
    static let messages = BodySchema(text)

    private static let text = """
        CreateNodePoolRequest clusterId:string nodePool:NodePool parent:string projectId:string zone:string
        UpdateNodePoolRequest accelerators:[AcceleratorConfig] bootDisk:BootDisk clusterId:string
          confidentialNodes:ConfidentialNodes consolidationDelay:duration containerdConfig:ContainerdConfig
          diskSizeGb:int64 diskType:string etag:string fastSocket:FastSocket flexStart:bool gcfsConfig:GcfsConfig
          gvnic:VirtualNIC image:string imageProject:string imageType:string kubeletConfig:NodeKubeletConfig
          labels:NodeLabels linuxNodeConfig:LinuxNodeConfig locations:[string] loggingConfig:NodePoolLoggingConfig
          machineType:string maintenancePolicy:NodePoolMaintenancePolicy maxRunDuration:duration name:string
          nodeConfigUpdateMode:(NODE_CONFIG_UPDATE_MODE_UNSPECIFIED|LIVE_UPDATE_WITHOUT_DRAIN)
          nodeDrainConfig:NodeDrainConfig nodeNetworkConfig:NodeNetworkConfig nodePoolId:string nodeVersion:string
          projectId:string queuedProvisioning:QueuedProvisioning resourceLabels:ResourceLabels
          resourceManagerTags:ResourceManagerTags storagePools:[string] tags:NetworkTags taintConfig:TaintConfig
          taints:NodeTaints upgradeSettings:UpgradeSettings windowsNodeConfig:WindowsNodeConfig
          workloadMetadataConfig:WorkloadMetadataConfig zone:string
        SetNodePoolAutoscalingRequest autoscaling:NodePoolAutoscaling clusterId:string name:string nodePoolId:string
          projectId:string zone:string
        CancelOperationRequest name:string operationId:string projectId:string zone:string
        NodeLabels labels:{string}
        ResourceLabels labels:{string}
        NetworkTags tags:[string]
        NodeTaints taints:[NodeTaint]
        SetNodePoolSizeRequest clusterId:string name:string nodeCount:int32 nodePoolId:string projectId:string
          zone:string
        NodePool autopilotConfig:AutopilotConfig autoscaling:NodePoolAutoscaling
          bestEffortProvisioning:BestEffortProvisioning conditions:- config:NodeConfig etag:-
          initialNodeCount:int32 instanceGroupUrls:- kubeletCertInfo:- locations:[string]
          maintenancePolicy:NodePoolMaintenancePolicy management:NodeManagement
          maxPodsConstraint:MaxPodsConstraint name:string networkConfig:NodeNetworkConfig
          nodeDrainConfig:NodeDrainConfig placementPolicy:PlacementPolicy podIpv4CidrSize:-
          queuedProvisioning:QueuedProvisioning selfLink:- status:- statusMessage:- updateInfo:-
          upgradeSettings:UpgradeSettings version:string
        AutopilotConfig enabled:bool
        NodePoolAutoscaling autoprovisioned:bool enabled:bool
          locationPolicy:(LOCATION_POLICY_UNSPECIFIED|BALANCED|ANY) maxNodeCount:int32 minNodeCount:int32
          totalMaxNodeCount:int32 totalMinNodeCount:int32
        BestEffortProvisioning enabled:bool minProvisionNodes:int32
        NodeConfig accelerators:[AcceleratorConfig] advancedMachineFeatures:AdvancedMachineFeatures
          bootDisk:BootDisk bootDiskKmsKey:string confidentialNodes:ConfidentialNodes
          consolidationDelay:duration containerdConfig:ContainerdConfig diskSizeGb:int32 diskType:string
          effectiveCgroupMode:- enableConfidentialStorage:bool
          ephemeralStorageLocalSsdConfig:EphemeralStorageLocalSsdConfig fastSocket:FastSocket flexStart:bool
          gcfsConfig:GcfsConfig gpuDirectConfig:GPUDirectConfig gvnic:VirtualNIC imageType:string
          kubeletConfig:NodeKubeletConfig labels:{string} linuxNodeConfig:LinuxNodeConfig
          localNvmeSsdBlockConfig:LocalNvmeSsdBlockConfig localSsdCount:int32
          localSsdEncryptionMode:(LOCAL_SSD_ENCRYPTION_MODE_UNSPECIFIED|STANDARD_ENCRYPTION|\
        EPHEMERAL_KEY_ENCRYPTION)
          loggingConfig:NodePoolLoggingConfig machineType:string maxRunDuration:duration metadata:{string}
          minCpuPlatform:string nodeGroup:string nodeImageConfig:CustomImageConfig oauthScopes:[string]
          preemptible:bool reservationAffinity:ReservationAffinity resourceLabels:{string}
          resourceManagerTags:ResourceManagerTags sandboxConfig:SandboxConfig
          secondaryBootDiskUpdateStrategy:SecondaryBootDiskUpdateStrategy secondaryBootDisks:[SecondaryBootDisk]
          serviceAccount:string shieldedInstanceConfig:ShieldedInstanceConfig soleTenantConfig:SoleTenantConfig
          spot:bool storagePools:[string] tags:[string] taintConfig:TaintConfig taints:[NodeTaint]
          windowsNodeConfig:WindowsNodeConfig workloadMetadataConfig:WorkloadMetadataConfig
        NodePoolMaintenancePolicy exclusionUntilEndOfSupport:ExclusionUntilEndOfSupport
        NodeManagement autoRepair:bool autoUpgrade:bool upgradeOptions:AutoUpgradeOptions
        MaxPodsConstraint maxPodsPerNode:int64
        NodeNetworkConfig acceleratorNetworkProfile:string
          additionalNodeNetworkConfigs:[AdditionalNodeNetworkConfig]
          additionalPodNetworkConfigs:[AdditionalPodNetworkConfig] createPodRange:bool
          datapathProvider:(DATAPATH_PROVIDER_UNSPECIFIED|LEGACY_DATAPATH|ADVANCED_DATAPATH|\
        MIGRATE_TO_ADVANCED_DATAPATH|MIGRATE_TO_LEGACY_DATAPATH)
          enablePrivateNodes:bool network:string networkPerformanceConfig:NetworkPerformanceConfig
          networkTierConfig:- podCidrOverprovisionConfig:PodCIDROverprovisionConfig podIpv4CidrBlock:string
          podIpv4RangeUtilization:- podRange:string subnetwork:string
        NodeDrainConfig graceTerminationDuration:duration pdbTimeoutDuration:duration
          respectPdbDuringNodePoolDeletion:bool
        PlacementPolicy policyName:string tpuTopology:string type:(TYPE_UNSPECIFIED|COMPACT)
        QueuedProvisioning enabled:bool
        UpgradeSettings blueGreenSettings:BlueGreenSettings maxSurge:int32 maxUnavailable:int32
          strategy:(NODE_POOL_UPDATE_STRATEGY_UNSPECIFIED|BLUE_GREEN|SURGE|SHORT_LIVED)
        AcceleratorConfig acceleratorCount:int64 acceleratorType:string
          gpuDriverInstallationConfig:GPUDriverInstallationConfig gpuPartitionSize:string
          gpuSharingConfig:GPUSharingConfig
        AdvancedMachineFeatures enableNestedVirtualization:bool
          performanceMonitoringUnit:(PERFORMANCE_MONITORING_UNIT_UNSPECIFIED|ARCHITECTURAL|STANDARD|ENHANCED)
          threadsPerCore:int64
        BootDisk diskType:string provisionedIops:int64 provisionedThroughput:int64 sizeGb:int64
        ConfidentialNodes confidentialInstanceType:(CONFIDENTIAL_INSTANCE_TYPE_UNSPECIFIED|SEV|SEV_SNP|TDX)
          enabled:bool
        ContainerdConfig privateRegistryAccessConfig:PrivateRegistryAccessConfig
          registryHosts:[RegistryHostConfig] writableCgroups:WritableCgroups
        EphemeralStorageLocalSsdConfig dataCacheCount:int32 ephemeralCapacityGb:int64 localSsdCount:int32
        FastSocket enabled:bool
        GcfsConfig enabled:bool
        GPUDirectConfig gpuDirectStrategy:(GPU_DIRECT_STRATEGY_UNSPECIFIED|RDMA)
        VirtualNIC enabled:bool
        NodeKubeletConfig allowedUnsafeSysctls:[string] containerLogMaxFiles:int32 containerLogMaxSize:string
          containerLogMaxWorkers:int32 containerLogMonitorInterval:duration cpuCfsQuota:bool
          cpuCfsQuotaPeriod:string cpuManagerPolicy:string crashLoopBackOff:CrashLoopBackOffConfig
          evictionMaxPodGracePeriodSeconds:int32 evictionMinimumReclaim:EvictionMinimumReclaim
          evictionSoft:EvictionSignals evictionSoftGracePeriod:EvictionGracePeriod
          imageGcHighThresholdPercent:int32 imageGcLowThresholdPercent:int32 imageMaximumGcAge:string
          imageMinimumGcAge:string insecureKubeletReadonlyPortEnabled:bool maxParallelImagePulls:int32
          memoryManager:MemoryManager podPidsLimit:int64 reservedResourcesConfig:ReservedResourcesConfig
          reservedSystemCpus:string shutdownGracePeriodCriticalPodsSeconds:int32
          shutdownGracePeriodSeconds:int32 singleProcessOomKill:bool topologyManager:TopologyManager
        LinuxNodeConfig accurateTimeConfig:AccurateTimeConfig additionalEtcHosts:[EtcHostsEntry]
          additionalEtcResolvConf:[ResolvedConfEntry] additionalEtcSystemdResolvedConf:[ResolvedConfEntry]
          cgroupMode:(CGROUP_MODE_UNSPECIFIED|CGROUP_MODE_V1|CGROUP_MODE_V2) customNodeInit:CustomNodeInit
          diskIoScheduler:DiskIoScheduler hugepages:HugepagesConfig kernelOverrides:KernelOverrides
          nodeKernelModuleLoading:NodeKernelModuleLoading nodeVfioConfig:NodeVfioConfig swapConfig:SwapConfig
          sysctls:{string} timeZone:string
          transparentHugepageDefrag:(TRANSPARENT_HUGEPAGE_DEFRAG_UNSPECIFIED|TRANSPARENT_HUGEPAGE_DEFRAG_ALWAYS|\
        TRANSPARENT_HUGEPAGE_DEFRAG_DEFER|TRANSPARENT_HUGEPAGE_DEFRAG_DEFER_WITH_MADVISE|\
        TRANSPARENT_HUGEPAGE_DEFRAG_MADVISE|TRANSPARENT_HUGEPAGE_DEFRAG_NEVER)
          transparentHugepageEnabled:(TRANSPARENT_HUGEPAGE_ENABLED_UNSPECIFIED|\
        TRANSPARENT_HUGEPAGE_ENABLED_ALWAYS|TRANSPARENT_HUGEPAGE_ENABLED_MADVISE|TRANSPARENT_HUGEPAGE_ENABLED_NEVER)
        LocalNvmeSsdBlockConfig localSsdCount:int32
        NodePoolLoggingConfig variantConfig:LoggingVariantConfig
        CustomImageConfig image:string imageProject:string
        ReservationAffinity
          consumeReservationType:(UNSPECIFIED|NO_RESERVATION|ANY_RESERVATION|SPECIFIC_RESERVATION|\
        ANY_RESERVATION_THEN_FAIL)
          key:string values:[string]
        ResourceManagerTags tags:{string}
        SandboxConfig type:(UNSPECIFIED|GVISOR|MICROVM)
        SecondaryBootDiskUpdateStrategy
        SecondaryBootDisk diskImage:string mode:(MODE_UNSPECIFIED|CONTAINER_IMAGE_CACHE)
        ShieldedInstanceConfig enableIntegrityMonitoring:bool enableSecureBoot:bool
        SoleTenantConfig minNodeCpus:int32 nodeAffinities:[NodeAffinity]
        TaintConfig architectureTaintBehavior:(ARCHITECTURE_TAINT_BEHAVIOR_UNSPECIFIED|NONE|ARM)
        NodeTaint effect:(EFFECT_UNSPECIFIED|NO_SCHEDULE|PREFER_NO_SCHEDULE|NO_EXECUTE) key:string value:string
        WindowsNodeConfig osVersion:(OS_VERSION_UNSPECIFIED|OS_VERSION_LTSC2019|OS_VERSION_LTSC2022)
        WorkloadMetadataConfig mode:(MODE_UNSPECIFIED|GCE_METADATA|GKE_METADATA)
        ExclusionUntilEndOfSupport enabled:bool endTime:- startTime:-
        AutoUpgradeOptions autoUpgradeStartTime:- description:-
        AdditionalNodeNetworkConfig network:string subnetwork:string
        AdditionalPodNetworkConfig maxPodsPerNode:MaxPodsConstraint networkAttachment:string
          secondaryPodRange:string subnetwork:string
        NetworkPerformanceConfig totalEgressBandwidthTier:(TIER_UNSPECIFIED|TIER_1)
        PodCIDROverprovisionConfig disable:bool
        BlueGreenSettings autoscaledRolloutPolicy:AutoscaledRolloutPolicy nodePoolSoakDuration:duration
          standardRolloutPolicy:StandardRolloutPolicy
        GPUDriverInstallationConfig
          gpuDriverVersion:(GPU_DRIVER_VERSION_UNSPECIFIED|INSTALLATION_DISABLED|DEFAULT|LATEST|SPECIFIC)
          specificVersion:string
        GPUSharingConfig gpuSharingStrategy:(GPU_SHARING_STRATEGY_UNSPECIFIED|TIME_SHARING|MPS)
          maxSharedClientsPerGpu:int64
        PrivateRegistryAccessConfig certificateAuthorityDomainConfig:[CertificateAuthorityDomainConfig]
          enabled:bool
        RegistryHostConfig hosts:[HostConfig] server:string
        WritableCgroups enabled:bool
        CrashLoopBackOffConfig maxContainerRestartPeriod:string
        EvictionMinimumReclaim imagefsAvailable:string imagefsInodesFree:string memoryAvailable:string
          nodefsAvailable:string nodefsInodesFree:string pidAvailable:string
        EvictionSignals imagefsAvailable:string imagefsInodesFree:string memoryAvailable:string
          nodefsAvailable:string nodefsInodesFree:string pidAvailable:string
        EvictionGracePeriod imagefsAvailable:string imagefsInodesFree:string memoryAvailable:string
          nodefsAvailable:string nodefsInodesFree:string pidAvailable:string
        MemoryManager policy:string
        ReservedResourcesConfig cpuReservedMillicore:int64 effectiveCpuReservedMillicore:-
          effectiveMemoryReservedMib:- memoryReservedMib:int64
        TopologyManager policy:string scope:string
        AccurateTimeConfig enablePtpKvmTimeSync:bool
        EtcHostsEntry host:string ip:string
        ResolvedConfEntry key:string value:[string]
        CustomNodeInit initScript:InitScript
        DiskIoScheduler nodeAttachedDiskIoScheduler:string nodeSystemIoScheduler:string
        HugepagesConfig hugepageSize1g:int32 hugepageSize2m:int32
        KernelOverrides kernelCommandlineOverrides:KernelCommandlineOverrides lruGen:LRUGen
        NodeKernelModuleLoading policy:(POLICY_UNSPECIFIED|ENFORCE_SIGNED_MODULES|DO_NOT_ENFORCE_SIGNED_MODULES)
        NodeVfioConfig dmaEntryLimit:int32
        SwapConfig bootDiskProfile:BootDiskProfile dedicatedLocalSsdProfile:DedicatedLocalSsdProfile
          enabled:bool encryptionConfig:EncryptionConfig ephemeralLocalSsdProfile:EphemeralLocalSsdProfile
        LoggingVariantConfig variant:(VARIANT_UNSPECIFIED|DEFAULT|MAX_THROUGHPUT)
        NodeAffinity key:string operator:(OPERATOR_UNSPECIFIED|IN|NOT_IN) values:[string]
        AutoscaledRolloutPolicy waitForDrainDuration:duration
        StandardRolloutPolicy batchNodeCount:int32 batchPercentage:number batchSoakDuration:duration
        CertificateAuthorityDomainConfig fqdns:[string]
          gcpSecretManagerCertificateConfig:GCPSecretManagerCertificateConfig
        HostConfig ca:[CertificateConfig]
          capabilities:[(HOST_CAPABILITY_UNSPECIFIED|HOST_CAPABILITY_PULL|HOST_CAPABILITY_RESOLVE|\
        HOST_CAPABILITY_PUSH)]
          client:[CertificateConfigPair] dialTimeout:duration header:[RegistryHeader] host:string
          overridePath:bool
        InitScript args:[string] gcpSecretManagerSecretUri:string gcsGeneration:int64 gcsUri:string
        KernelCommandlineOverrides initOnAlloc:(INIT_ON_ALLOC_UNSPECIFIED|INIT_ON_ALLOC_OFF)
          specRstackOverflow:(SPEC_RSTACK_OVERFLOW_UNSPECIFIED|SPEC_RSTACK_OVERFLOW_OFF)
        LRUGen enabled:bool minTtlMs:int32
        BootDiskProfile swapSizeGib:int64 swapSizePercent:int32
        DedicatedLocalSsdProfile diskCount:int64
        EncryptionConfig disabled:bool
        EphemeralLocalSsdProfile swapSizeGib:int64 swapSizePercent:int32
        GCPSecretManagerCertificateConfig secretUri:string
        CertificateConfig gcpSecretManagerSecretUri:string
        CertificateConfigPair cert:CertificateConfig key:CertificateConfig
        RegistryHeader key:string value:[string]
        """
}
