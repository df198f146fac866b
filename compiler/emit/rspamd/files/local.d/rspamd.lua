-- A signed-in user may write only their own addresses in From. Postfix checks the envelope; without this
-- alice could send as bob, and we would sign it. An automatic reply is its user's as well.

local allowed = rspamd_config:add_map({
  url = rspamd_paths['LOCAL_CONFDIR'] .. '/local.d/senders.map',
  type = 'set',
  description = 'addresses that a login may use beside its own',
})

-- user+detail@domain is user@domain (RFC 5233).
local function base(address)
  return (address:gsub('%+[^@]*@', '@'))
end

local function may_use(login, address)
  return base(address) == login
    or allowed:get_key(login .. '|' .. address)
    or allowed:get_key(login .. '|' .. base(address))
end

-- Whose automatic reply this is, nil where it is none. Dovecot names the user who was written to in the envelope,
-- whatever a script of theirs says; redirected mail, which has the user there too, is a stranger's and has come a way.
local function replier(task)
  local from = task:get_from({ 'smtp', 'orig' }) or {}
  local answers = task:get_header('Auto-Submitted') or ''
  if tostring(task:get_request_header('MTA-Name')) ~= '{{.Sieve}}'
    or not from[1] or from[1].addr == ''
    or not answers:lower():find('^auto%-replied')
    or task:get_header('X-Sieve-Redirected-From') or task:get_header('Received') then
    return nil
  end
  return base(from[1].addr)
end

local function refuse(task, why)
  task:set_pre_result({ action = 'reject', module = 'mailplan', message = why })
end

rspamd_config:register_symbol({
  name = 'MAILPLAN_FROM',
  type = 'prefilter',
  callback = function(task)
    local reply = replier(task)
    local login = task:get_user() or reply
    local fields = task:get_header_full('From')
    if not login or not fields then
      return
    end
    login = login:lower()
    local addresses = task:get_from({ 'mime', 'orig' }) or {}
    if #fields > 1 or #addresses == 0 or addresses[1].addr == '' then
      return refuse(task, 'From must be one field with an address')
    end
    for _, from in ipairs(addresses) do
      local address = from.addr:lower()
      if not may_use(login, address) then
        return refuse(task, 'From: ' .. address .. ' is not an address of ' .. login)
      end
    end
    if reply then
      task:set_user(login) -- so that it is signed
      task:set_milter_reply({ change_from = '<>' }) -- nobody answers an answer (RFC 5230, section 5.1)
    end
  end,
})
