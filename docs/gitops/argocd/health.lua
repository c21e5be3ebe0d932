-- Health of an MfaPolicy in Argo CD. It reads the kstatus conditions alone, so that a new reason needs no new check.
local status = obj.status or {}
if status.observedGeneration == nil or status.conditions == nil then
  return {status = "Progressing", message = "The operator has not looked at this policy yet"}
end
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not looked at the last edit yet"}
end

local seen = {}
for _, condition in ipairs(status.conditions) do
  seen[condition.type] = condition
end
local function is_true(type)
  return seen[type] ~= nil and seen[type].status == "True"
end
local function health(word, condition)
  return {status = word, message = condition.reason .. ": " .. condition.message}
end

if is_true("Stalled") then
  if seen.Stalled.reason == "Suspended" then
    return health("Suspended", seen.Stalled)
  end
  return health("Degraded", seen.Stalled)
end
if is_true("Reconciling") then
  return health("Progressing", seen.Reconciling)
end
if is_true("Ready") then
  return health("Healthy", seen.Ready)
end
return {status = "Progressing", message = "The operator has not said yet whether this policy is in force"}
