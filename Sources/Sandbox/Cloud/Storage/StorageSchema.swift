/// The messages that storage v1 takes for buckets and objects, from Google's discovery document of 2026-10-09.
///
/// In the form of `ContainerSchema`, and `date` YYYY-MM-DD, `-` set by the service only, any other word a message.
enum StorageSchema {
    static let messages = BodySchema(text)

    private static let text = """
        Bucket acl:[any] autoclass:BucketAutoclass billing:BucketBilling cors:[BucketCors]
          customPlacementConfig:BucketCustomPlacementConfig defaultEventBasedHold:bool defaultObjectAcl:[any]
          encryption:BucketEncryption etag:- generation:- hardDeleteTime:-
          hierarchicalNamespace:BucketHierarchicalNamespace iamConfiguration:BucketIamConfiguration id:-
          ipFilter:BucketIpFilter kind:- labels:{string} lifecycle:BucketLifecycle location:string
          locationType:- logging:BucketLogging metageneration:- name:string
          objectRetention:BucketObjectRetention owner:- projectNumber:- retentionPolicy:BucketRetentionPolicy
          rpo:string satisfiesPZI:- satisfiesPZS:- selfLink:- softDeletePolicy:BucketSoftDeletePolicy
          softDeleteTime:- storageClass:string timeCreated:- updated:- versioning:BucketVersioning
          website:BucketWebsite
        Object acl:[any] bucket:string cacheControl:string componentCount:- contentDisposition:string
          contentEncoding:string contentLanguage:string contentType:string contexts:ObjectContexts crc32c:string
          customTime:string customerEncryption:ObjectCustomerEncryption etag:- eventBasedHold:bool generation:-
          hardDeleteTime:- id:- kind:- kmsKeyName:string md5Hash:string mediaLink:- metadata:{string}
          metageneration:- name:string owner:- restoreToken:- retention:ObjectRetention
          retentionExpirationTime:- selfLink:- size:- softDeleteTime:- storageClass:string temporaryHold:bool
          timeCreated:- timeDeleted:- timeFinalized:- timeStorageClassUpdated:- updated:-
        ComposeRequest deleteSourceObjects:bool destination:Object kind:string sourceObjects:[ComposeRequestSource]
        ComposeRequestSource generation:int64 name:string objectPreconditions:ComposeRequestPreconditions
        ComposeRequestPreconditions ifGenerationMatch:int64
        Policy bindings:[PolicyBinding] etag:string kind:string resourceId:string version:int32
        PolicyBinding condition:Expr members:[string] role:string
        Expr description:string expression:string location:string title:string
        Notification custom_attributes:{string} etag:- event_types:[string] id:- kind:- object_name_prefix:string
          payload_format:string selfLink:- topic:string
        BucketAutoclass enabled:bool terminalStorageClass:string terminalStorageClassUpdateTime:- toggleTime:-
        BucketBilling requesterPays:bool
        BucketCors maxAgeSeconds:int32 method:[string] origin:[string] responseHeader:[string]
        BucketCustomPlacementConfig dataLocations:[string]
        BucketEncryption
          customerManagedEncryptionEnforcementConfig:BucketEncryptionCustomerManagedEncryptionEnforcementConfig
          customerSuppliedEncryptionEnforcementConfig:BucketEncryptionCustomerSuppliedEncryptionEnforcementConfig
          defaultKmsKeyName:string
          googleManagedEncryptionEnforcementConfig:BucketEncryptionGoogleManagedEncryptionEnforcementConfig
        BucketHierarchicalNamespace enabled:bool
        BucketIamConfiguration bucketPolicyOnly:BucketIamConfigurationBucketPolicyOnly
          publicAccessPrevention:string uniformBucketLevelAccess:BucketIamConfigurationUniformBucketLevelAccess
        BucketIpFilter allowAllServiceAgentAccess:bool allowCrossOrgVpcs:bool mode:string
          publicNetworkSource:BucketIpFilterPublicNetworkSource
          vpcNetworkSources:[BucketIpFilterVpcNetworkSources]
        BucketLifecycle rule:[BucketLifecycleRule]
        BucketLogging logBucket:string logObjectPrefix:string
        BucketObjectRetention mode:string
        BucketRetentionPolicy effectiveTime:- isLocked:- retentionPeriod:int64
        BucketSoftDeletePolicy effectiveTime:- hardDeletePause:BucketSoftDeletePolicyHardDeletePause
          retentionDurationSeconds:int64
        BucketVersioning enabled:bool
        BucketWebsite mainPageSuffix:string notFoundPage:string
        ObjectContexts custom:{ObjectCustomContextPayload}
        ObjectCustomerEncryption encryptionAlgorithm:string keySha256:string
        ObjectRetention mode:string retainUntilTime:string
        BucketEncryptionCustomerManagedEncryptionEnforcementConfig effectiveTime:string
          restrictionMode:(NotRestricted|FullyRestricted)
        BucketEncryptionCustomerSuppliedEncryptionEnforcementConfig effectiveTime:string
          restrictionMode:(NotRestricted|FullyRestricted)
        BucketEncryptionGoogleManagedEncryptionEnforcementConfig effectiveTime:string
          restrictionMode:(NotRestricted|FullyRestricted)
        BucketIamConfigurationBucketPolicyOnly enabled:bool lockedTime:string
        BucketIamConfigurationUniformBucketLevelAccess enabled:bool lockedTime:-
        BucketIpFilterPublicNetworkSource allowedIpCidrRanges:[string]
        BucketIpFilterVpcNetworkSources allowedIpCidrRanges:[string] network:string
        BucketLifecycleRule action:BucketLifecycleRuleAction condition:BucketLifecycleRuleCondition
        BucketSoftDeletePolicyHardDeletePause effectiveTime:string enabled:bool
        ObjectCustomContextPayload createTime:string extendedDataTypeUrl:string updateTime:string value:string
        BucketLifecycleRuleAction storageClass:string type:string
        BucketLifecycleRuleCondition age:int32 createdBefore:date customTimeBefore:date
          daysSinceCustomTime:int32 daysSinceNoncurrentTime:int32 isLive:bool matchesPattern:string
          matchesPrefix:[string] matchesStorageClass:[string] matchesSuffix:[string] noncurrentTimeBefore:date
          numNewerVersions:int32 sizeAboveBytes:int64 sizeBelowBytes:int64
        """
}
