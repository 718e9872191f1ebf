#!/usr/bin/env python3
# Kept as it came, so that results compare with those of other stubs.
# ruff: noqa
# mypy: ignore-errors
# fmt: off
"""rspbench.py - raw-socket RSP benchmark, usable against any GDB stub.

usage: rspbench.py HOST:PORT [--elf bench32.elf] [--only a,b] [--secs 2] [--mem ADDR:LEN]
The ELF (see bench.S beside this file) supplies symbols go/hot/never/done/spin/v_hot/v_same/v_far/buf.
Prints one JSON object. Standard library only.
"""
import argparse, json, re, socket, struct, sys, time

def elf_syms(path):
    d = open(path, 'rb').read(); is64 = d[4] == 2
    if is64:
        shoff, = struct.unpack_from('<Q', d, 0x28); esz, n, _ = struct.unpack_from('<HHH', d, 0x3A)
    else:
        shoff, = struct.unpack_from('<I', d, 0x20); esz, n, _ = struct.unpack_from('<HHH', d, 0x2E)
    secs = []
    for i in range(n):
        o = shoff + i * esz
        if is64:
            nm, ty, fl, ad, of, sz, lk = struct.unpack_from('<IIQQQQI', d, o)
        else:
            nm, ty, fl, ad, of, sz, lk = struct.unpack_from('<IIIIIII', d, o)
        secs.append((ty, of, sz, lk))
    out = {}
    for ty, of, sz, lk in secs:
        if ty != 2: continue
        so = secs[lk][1]; st = 24 if is64 else 16
        for o in range(of, of + sz, st):
            if is64:
                nm, info, oth, shn, val, size = struct.unpack_from('<IBBHQQ', d, o)
            else:
                nm, val, size, info, oth, shn = struct.unpack_from('<IIIBBH', d, o)
            e = d.index(b'\0', so + nm); name = d[so + nm:e].decode('latin1')
            if name: out[name] = val
    return out, (64 if is64 else 32)

class RSP:
    def __init__(self, host, port, timeout=30):
        self.s = socket.create_connection((host, port), timeout)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''; self.ack = True; self.rt = 0
    def _fill(self):
        d = self.s.recv(1 << 20)
        if not d: raise EOFError('stub closed')
        self.buf += d
    def send(self, p):
        if isinstance(p, str): p = p.encode('latin1')
        self.s.sendall(b'$' + p + b'#%02x' % (sum(p) & 255)); self.rt += 1
    @staticmethod
    def esc(b):
        o = bytearray()
        for c in b:
            if c in b'#$}*': o += bytes((0x7d, c ^ 0x20))
            else: o.append(c)
        return bytes(o)
    @classmethod
    def unesc(c, p):
        if b'}' not in p and b'*' not in p: return p
        if b'*' not in p: return re.sub(rb'}(.)', lambda m: bytes((m[1][0] ^ 0x20,)), p, flags=re.S)
        o = bytearray(); i = 0
        while i < len(p):
            c = p[i]
            if c == 0x7d: o.append(p[i+1] ^ 0x20); i += 2
            elif c == 0x2a: o += bytes([o[-1]]) * (p[i+1] - 29); i += 2
            else: o.append(c); i += 1
        return bytes(o)
    def recv(self):
        while True:
            i = self.buf.find(b'$')
            if i < 0: self.buf = b''; self._fill(); continue
            j = self.buf.find(b'#', i)
            while j < 0 or len(self.buf) < j + 3:
                self._fill(); j = self.buf.find(b'#', i)
            p = self.buf[i+1:j]; self.buf = self.buf[j+3:]
            if self.ack: self.s.sendall(b'+')
            return self.unesc(p)
    def cmd(self, p):
        self.send(p); return self.recv()
    def stop(self):                     # swallow O packets
        while True:
            r = self.recv()
            if r[:1] != b'O' or r == b'OK': return r

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('addr'); ap.add_argument('--elf'); ap.add_argument('--only', default='')
    ap.add_argument('--secs', type=float, default=2.0); ap.add_argument('--iters', type=int, default=20000000)
    ap.add_argument('--mem', default=None); ap.add_argument('--no-ack', type=int, default=1)
    ap.add_argument('--kill', action='store_true')
    a = ap.parse_args()
    host, port = a.addr.rsplit(':', 1)
    R = {'addr': a.addr}
    t = time.perf_counter(); r = RSP(host, int(port))
    sup = r.cmd('qSupported:multiprocess-;swbreak+;hwbreak+;vContSupported+;ConditionalBreakpoints+;xmlRegisters=riscv;QNonStop+').decode('latin1')
    R['qSupported'] = sup
    feats = dict((f.split('=')[0], f.split('=')[1]) if '=' in f else (f[:-1], f[-1]) for f in sup.split(';') if f)
    if feats.get('QStartNoAckMode') == '+' and a.no_ack:
        if r.cmd('QStartNoAckMode') == b'OK': r.ack = False; r.s.sendall(b'+')
    R['no_ack'] = not r.ack
    vc = r.cmd('vCont?').decode('latin1'); R['vCont'] = vc
    R['initial_stop'] = r.cmd('?').decode('latin1')
    R['connect_ms'] = round((time.perf_counter() - t) * 1e3, 2)
    tgt = r.cmd('qXfer:features:read:target.xml:0,ffb')
    R['target_xml_head_len'] = len(tgt)
    syms, xlen = elf_syms(a.elf) if a.elf else ({}, 32)
    nyb = xlen // 4
    def le(v): return v.to_bytes(xlen // 8, 'little').hex()
    def setreg(n, v): 
        x = r.cmd('P%x=%s' % (n, le(v & ((1 << xlen) - 1))))
        if x != b'OK':                   # fall back to G
            g = r.cmd('g').decode(); g = g[:n*nyb] + le(v) + g[(n+1)*nyb:]; x = r.cmd('G' + g)
        return x
    def getpc():
        x = r.cmd('p20')
        if len(x) < nyb: x = r.cmd('g')[32*nyb:33*nyb]
        return int.from_bytes(bytes.fromhex(x[:nyb].decode()), 'little')
    only = set(x for x in a.only.split(',') if x)
    want = lambda n: not only or n in only
    psz = int(feats.get('PacketSize', '400'), 16)
    def rate(fn, secs=a.secs, batch=50):
        n = 0; t0 = time.perf_counter()
        while True:
            for _ in range(batch): fn()
            n += batch; dt = time.perf_counter() - t0
            if dt > secs: return n / dt
    def cont(secs=120):
        r.s.settimeout(secs); r.send('vCont;c' if 'c' in vc.split(';') else 'c'); x = r.stop(); r.s.settimeout(30); return x
    S = syms
    try:
        if S:
            setreg(32, S['go']); setreg(10, 0)
        if want('step'):
            def st(): r.send('s'); r.stop()
            R['s_per_s'] = round(rate(st))
            def stg(): r.send('s'); r.stop(); r.cmd('g')
            R['s_plus_g_per_s'] = round(rate(stg))
            if vc.startswith('vCont'):
                def vs(): r.send('vCont;s'); r.stop()
                R['vCont_s_per_s'] = round(rate(vs))
            if 'r' in vc.split(';') and S:   # range-step whole loop
                setreg(32, S['go']); setreg(10, 100000)
                t0 = time.perf_counter(); r.send('vCont;r%x,%x' % (S['go'], S['never'])); R['range_reply'] = r.stop().decode('latin1')
                R['range_step_insns_per_s'] = round(600000 / (time.perf_counter() - t0))
        if want('rt'):
            R['qC_roundtrips_per_s'] = round(rate(lambda: r.cmd('qC')))
            R['g_per_s'] = round(rate(lambda: r.cmd('g'))); R['g_bytes'] = len(r.cmd('g')) // 2
            R['p_pc_per_s'] = round(rate(lambda: r.cmd('p20')))
        if want('mem'):
            base, ln = (int(x, 0) for x in a.mem.split(':')) if a.mem else ((S.get('buf', 0x80010000) + 0xffff) & ~0xffff, 0x400000)
            for nm, size in (('max', min(psz // 2 - 16, 65536)), ('1k', 1024), ('4B', 4)):
                size = max(4, min(size, psz // 2 - 16)); off = [0]
                def rd():
                    x = r.cmd('m%x,%x' % (base + off[0], size)); assert len(x) == 2*size, x[:20]
                    off[0] = (off[0] + size) % (ln - size)
                q = rate(rd, batch=10); R['m_read_%s' % nm] = {'size': size, 'pkts_per_s': round(q), 'MBps': round(q*size/1e6, 2)}
            if r.cmd('x%x,4' % base)[:1] == b'b':
                size = min(psz - 16, 65536)
                def rx(): x = r.cmd('x%x,%x' % (base, size))
                q = rate(rx, batch=10); R['x_read'] = {'size': size, 'MBps': round(q*size/1e6, 2)}
            else: R['x_read'] = None
            size = max(4, min(psz // 2 - 32, 32768)); hx = ('5a' * size)
            def wr(): x = r.cmd('M%x,%x:%s' % (base, size, hx)); assert x == b'OK', x
            q = rate(wr, batch=10); R['M_write'] = {'size': size, 'MBps': round(q*size/1e6, 2)}
            if r.cmd('X%x,0:' % base) == b'OK':
                size = max(4, min(psz - 64, 65536)); bb = b'Z' * size
                def wx(): x = r.cmd(b'X%x,%x:' % (base, size) + bb); assert x == b'OK', x
                q = rate(wx, batch=10); R['X_write'] = {'size': size, 'MBps': round(q*size/1e6, 2)}
            else: R['X_write'] = None
        if S and want('bp'):
            hot = S['hot']; Z = 'Z0,%x,4' % hot; z = 'z0,%x,4' % hot
            setreg(32, S['go']); setreg(10, 0); assert r.cmd(Z) == b'OK'
            R['bp_stop_reply'] = cont().decode('latin1'); R['bp_pc_ok'] = getpc() == hot
            def full(): r.cmd(z); r.send('s'); r.stop(); r.cmd(Z); cont()
            R['bp_cycle_gdbstyle_per_s'] = round(rate(full, batch=20))   # z0,s,Z0,c: what gdb does minus reg reads
            def full_g(): r.cmd('g'); r.cmd(z); r.send('s'); r.stop(); r.cmd('g'); r.cmd(Z); cont()
            R['bp_cycle_gdbstyle_with_g_per_s'] = round(rate(full_g, batch=20))
            # does s / c with the bp left inserted make progress?
            r.send('s'); r.stop(); p1 = getpc(); R['s_over_inserted_bp'] = p1 != hot
            setreg(32, hot); r0 = r.cmd('pa'); cont(); R['c_over_inserted_bp_progresses'] = r.cmd('pa') != r0
            if R['s_over_inserted_bp']:
                def mini(): r.send('s'); r.stop(); cont()
                R['bp_cycle_s_c_per_s'] = round(rate(mini, batch=20))
            if R['c_over_inserted_bp_progresses']:
                R['bp_cycle_c_only_per_s'] = round(rate(cont, batch=20))
            R['Zz_pair_per_s'] = round(rate(lambda: (r.cmd(z), r.cmd(Z))))
            r.cmd(z)
        if S and want('slow'):
            hot_pc = S['hot']; done = 'Z0,%x,4' % S['done']; assert r.cmd(done) == b'OK'
            def run(n):
                setreg(32, S['go']); setreg(10, n); t0 = time.perf_counter(); x = cont(600)
                dt = time.perf_counter() - t0
                ok = getpc() == S['done']
                return dt, x.decode('latin1'), ok
            def timed(tag, n=a.iters):
                dt, x, ok = run(n)
                while dt < 0.3 and n < (1 << 30): n *= 4; dt, x, ok = run(n)
                first, best = dt, dt         # steady state: whatever is rebuilt after a change is built by now
                for _ in range(6):
                    last, (dt, x, ok) = best, run(n)
                    best = min(best, dt)
                    if abs(dt - last) < 0.05 * last: break
                dt = best; first_ns = round(first / n * 1e9, 2)
                R[tag] = {'iters': n, 'first_ns_per_iter': first_ns, 'ns_per_iter': round(dt / n * 1e9, 2), 'MIPS': round(n * 6 / dt / 1e6, 1), 'reached_done': ok, 'stop': x}
                return dt / n
            run(1000)
            b = timed('hot_base')
            for tag, Zp in (('wp_same_page', 'Z2,%x,4' % S['v_same']), ('wp_far_page', 'Z2,%x,4' % S['v_far']),
                            ('rwp_same_page', 'Z3,%x,4' % S['v_same']),
                            ('bp_same_code_page', 'Z0,%x,4' % S['never']), ('bp_other_code_page', 'Z0,%x,4' % (S['spin'] + 4))):
                x = r.cmd(Zp)
                if x != b'OK': R[tag] = x.decode('latin1') or 'unsupported'; continue
                q = timed(tag, max(200000, a.iters // 100)); R[tag]['slowdown'] = round(q / b, 2)
                r.cmd('z' + Zp[1:])
            for k in (10, 100, 1000):   # many bps, other pages
                oks = [r.cmd('Z0,%x,4' % (S['done'] + 0x20000 + i*4)) for i in range(k)]
                if oks[-1] != b'OK': R['many_bp_%d' % k] = oks[-1].decode('latin1'); break
                q = timed('many_bp_%d' % k); R['many_bp_%d' % k]['slowdown'] = round(q / b, 2)
                for i in range(k): r.cmd('z0,%x,4' % (S['done'] + 0x20000 + i*4))
            q = timed('hot_base_after'); 
            if feats.get('ConditionalBreakpoints') == '+':   # a0 == 0 is false at every pass through hot
                if r.cmd('Z0,%x,4;X7,26000a22001327' % hot_pc) == b'OK':
                    q = timed('cond_false', max(200000, a.iters // 100)); R['cond_false']['hits_per_s'] = round(1 / q)
                    r.cmd('z0,%x,4' % hot_pc)
            else: R['cond_false'] = 'unsupported'
            # watchpoint hit on hot var
            if r.cmd('Z2,%x,4' % S['v_hot']) == b'OK':
                setreg(32, S['go']); setreg(10, 0)
                R['wp_stop_reply'] = cont().decode('latin1'); R['wp_stop_pc_off_from_sw'] = getpc() - (S['hot'] + 8)
                R['wp_hits_per_s'] = round(rate(cont, batch=20))
                r.cmd('z2,%x,4' % S['v_hot'])
            r.cmd('z' + done[1:])
        if S and want('int'):
            L = []
            for _ in range(50):
                setreg(32, S['spin']); r.send('vCont;c' if vc.startswith('vCont') else 'c'); time.sleep(0.02)
                t0 = time.perf_counter(); r.s.sendall(b'\x03'); x = r.stop(); L.append(time.perf_counter() - t0)
            L.sort(); R['interrupt'] = {'reply': x.decode('latin1'), 'median_ms': round(L[25]*1e3, 3), 'max_ms': round(L[-1]*1e3, 3)}
        if want('probe'):
            P = {}
            for n, p in (('qHostInfo','qHostInfo'),('qRegisterInfo0','qRegisterInfo0'),('jThreadsInfo','jThreadsInfo'),('qProcessInfo','qProcessInfo'),
                         ('QListThreadsInStopReply','QListThreadsInStopReply'),('qXfer_threads','qXfer:threads:read::0,400'),('qXfer_memory_map','qXfer:memory-map:read::0,400'),
                         ('QNonStop1','QNonStop:1'),('qSearch','qSearch:memory:80000000;10;A'),('qCRC','qCRC:80000000,10'),('QThreadEvents','QThreadEvents:1'),
                         ('qTStatus','qTStatus'),('vRun','vRun;'),('qXfer_exec','qXfer:exec-file:read:1:0,10'),('qGDBServerVersion','qGDBServerVersion'),
                         ('qMemoryRegionInfo','qMemoryRegionInfo:80000000'),('vMustReplyEmpty','vMustReplyEmpty'),('qRcmd','qRcmd,%s' % b'help'.hex()),('bs','bs'),('QCatchSyscalls','QCatchSyscalls:1'),('vFile','vFile:setfs:0')):
                if n == 'QNonStop1' and feats.get('QNonStop') == '+': continue
                if n in ('bs',) and 'ReverseStep' not in feats: continue
                try:
                    r.s.settimeout(3); r.send(p); x = r.stop(); P[n] = x[:60].decode('latin1')
                except socket.timeout: P[n] = '<timeout>'
            R['probe'] = P
    except (EOFError, AssertionError, socket.timeout, OSError) as e:
        R['error'] = repr(e)
    if a.kill:
        try: r.send('k')
        except OSError: pass
    json.dump(R, sys.stdout, indent=1); print()

if __name__ == '__main__':
    main()
