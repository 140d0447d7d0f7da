-- needs: faults
-- Looks for what is wrong with jobs: each one with all that belongs to it, at one instant. Changes nothing.
--
-- KEYS  1 leases
-- ARGV  1 prefix  2 deep 0|1: search the ready lists, too  3 how far past its deadline (s) a claim is overdue
--       then per job: id, number of queues in whose containers it was met, their names
-- Without `deep` only ids with some fault count: which kind it is may still change with what the lists hold.
-- Returns per job {status or '', queue, kind, detail, kind, detail, …}
local deep, slack_s = ARGV[2] == '1', tonumber(ARGV[3])
local answers, at = {}, 4
while ARGV[at] do
  local id, count_ = ARGV[at], tonumber(ARGV[at + 1])
  local extra = {}
  for i = 1, count_ do extra[i] = ARGV[at + 1 + i] end
  at = at + 2 + count_
  local found, job = faults_of(id, extra, deep, slack_s)
  answers[#answers + 1] = { job.status or '', job.q, unpack(found) }
end
return answers
