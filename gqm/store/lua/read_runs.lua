-- needs: base
-- Reads the newest runs of cron entries, or a page of one entry's runs. Changes nothing.
--
-- KEYS  1.. histories of the entries
-- ARGV  1 prefix  2 number of runs to pass over  3 number of runs wanted of each
-- Returns per key {number of runs, {job id, fire second, status or false, slot or false, run time ms or false, …}}
local from, wanted, answers = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
for i, key in ipairs(KEYS) do
  local size = pcall_('ZCARD', key)
  local runs = {}
  if type(size) == 'number' and size > from and wanted > 0 then
    local found = call('ZRANGE', key, from, from + wanted - 1, 'REV', 'WITHSCORES')
    for n = 1, #found, 2 do
      local h = pcall_('HMGET', job_key(found[n]), 'status', 'cron_slot', 'execution_duration')
      for _, value in ipairs({ found[n], found[n + 1], h[1] or false, h[2] or false, h[3] or false }) do
        runs[#runs + 1] = value
      end
    end
  end
  answers[i] = { type(size) == 'number' and size or 0, runs }
end
return answers
