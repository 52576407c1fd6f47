-- Argo CD's health of a GCSArtifact. Layout as in argo-cd's resource_customizations; in argocd-cm its key is
-- resource.customizations.health.trainyard.dev_GCSArtifact. Tested by .ci/gitops.
local function condition(type)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, found in ipairs(obj.status.conditions) do
      if found.type == type then return found end
    end
  end
  return nil
end

local function isTrue(type)
  local found = condition(type)
  return found ~= nil and found.status == "True"
end

local function said(type, otherwise)
  local found = condition(type)
  if found == nil then return otherwise end
  return found.reason .. ": " .. (found.message or "")
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "being deleted" }
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this generation yet" }
end
-- Nothing goes on until somebody acts.
if isTrue("Stalled") then
  return { status = "Degraded", message = said("Stalled", "") }
end
if isTrue("Ready") then
  return { status = "Healthy", message = said("Ready", "") }
end
return { status = "Progressing", message = said("Ready", "waiting for the operator") }
