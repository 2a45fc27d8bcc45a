/* Apply, resume and undo as a model that Spin goes through whole; tests/runs/test_model.py runs it.
 *
 * Two rows, one write at a time, groups of one row: the shortest run in which an outcome travels with the next intent.
 * Process 1 applies plan P as run 1, process 2 applies P or another plan Q as run 2, process 3 resumes run 1,
 * process 4 takes run 1 back as run 3. Somebody else writes to the rows, leases run out, answers are lost, a process
 * dies at any step, and a write that was sent may be carried out long after its sender is gone.
 *
 * Every line that is printed is one event; those with a colon are the steps that the code itself names (RunHooks.step).
 * What may happen how often, and which mistake is made, come from the environment, so that it is compiled once.
 */
c_decl {
\#include <stdlib.h>
\#define GIVEN(name) (getenv(name) ? atoi(getenv(name)) : 0)
}

/* What the guarded field of a row holds. */
#define OLD 0
#define MINE 1
#define OTHER 2
#define FOREIGN 3

/* Who wrote it last; runs are 1, 2 and 3. */
#define SOMEBODY 4

/* What the journal says became of a row. */
#define NOTHING 0
#define APPLIED 1
#define NOT_REACHED 2
#define MOVED 3
#define REFUSED 4
#define ALREADY 5
#define OURS 6
#define UNSETTLED 7
#define BLOCKED 8
#define IS_FINAL(r) (r != NOTHING && r != NOT_REACHED && r != OURS && r != BLOCKED)

/* Where a run stands. */
#define UNKNOWN 0
#define OPENED 1
#define STOPPED 2
#define DONE 3

#define APPLY 0
#define RESUME 1
#define UNDO 2

#define OPENING 0
#define RESUMING 1
#define ANNOUNCING 2
#define TELLING 3
#define ENDING 4

/* The seeded mistakes; 0 is the code as it is. */
#define NO_STAMP 1
#define OUTCOME_BEFORE_WRITE 2
#define INTENT_AFTER_WRITE 3
#define SETTLE_BY_VALUE 4
#define PLAIN_READ 5
#define NO_LEASE_CHECK 6
#define LEASE_BY_OWN_CLOCK 7
#define WRITE_BY_ID 8
#define UNDO_BY_VALUE 9
#define ANY_PLACE_IN_JOURNAL 10
#define NO_SECOND_LOOK 11
#define UNMATCHED_IS_REFUSED 12
#define ALREADY_AFTER_LOST_ANSWER 13
#define SENT_BEFORE_FORGOTTEN 14
byte mistake;

/* Asks for an order in which a write is sent while another process holds the lease: such orders are among those
 * gone through. Between the question for the lease and the send a process may stand still, and another may take over. */
byte witness;

/* What is still to go wrong. */
byte crashes, losses, expiries, foreign, stops, resumes;
byte plan_b; /* what run 2 sets: MINE is the same plan, OTHER another one, OLD is no run 2 */
bool with_undo;

typedef Row { byte value; byte stamp; byte fence };
typedef Run { byte state; bool is_unsettled; bool intent[2]; byte result[2] };
typedef Flight { bool there; byte own; byte place; byte value; byte stamp; byte fence; byte sets };

Row row[2];
Run runs[4];
byte places; /* inserts in the journal */
byte holder; /* which process the server says holds the lease */
bool dead[5];
bool is_resuming;
bool lost[5]; /* whose own clock says that its lease has run out */
Flight flight; /* a write that was sent and of which its sender hears nothing */

/* What only the checker knows. */
byte author[2];
byte written[2];
bool meddled[2];
typedef Wrote { bool did[2] };
Wrote wrote[4];

/* The claims, by the names under which the checker reports them. */
bool written_once = true;
bool foreign_kept = true;
bool announced = true;
bool told_true = true;
bool settled_unless_meddled = true;
bool undone_own_only = true;
bool begun_by_holder = true;
bool one_announces = true;
bool sent_by_holder = true; /* only for the witness: it does not hold, and no other claim needs it */

#define CLAIM(name, holds) name = name && (holds); assert(name)
#define IS_OPEN(n, r) (runs[n].intent[r] && runs[n].result[r] == NOTHING)
#define HOLDS(n, r) \
    (runs[n].state != UNKNOWN && (runs[n].state == OPENED || runs[n].is_unsettled) && \
     (IS_OPEN(n, r) || (runs[n].intent[r] && runs[n].result[r] == UNSETTLED)))
#define HELD(but, r) ((but != 1 && HOLDS(1, r)) || (but != 2 && HOLDS(2, r)) || (but != 3 && HOLDS(3, r)))
#define SETS(n) (n == 3 -> OLD : (n == 2 -> plan_b : MINE))
/* A write that is not told is one of which nothing stands any more. */
#define TOLD(n, r) \
    ((runs[n].result[r] != APPLIED || wrote[n].did[r]) && \
     (!wrote[n].did[r] || runs[n].result[r] == APPLIED || runs[n].result[r] == UNSETTLED || \
      (row[r].stamp != n && row[r].value != SETS(n))))

#define MAY_DIE \
    if \
    :: crashes > 0 -> crashes--; dead[me] = true; printf("%d dies\n", me); goto died \
    :: true \
    fi
#define STEP(text) atomic { printf(text, me); MAY_DIE }

/* One guarded update as the server carries it out. */
inline carry_out(x_run, x_place, x_value, x_stamp, x_fence, x_sets, x_matched) {
    if
    :: mistake == WRITE_BY_ID ||
       (row[x_place].value == x_value && row[x_place].fence == x_fence &&
        (row[x_place].stamp == x_stamp || (mistake == UNDO_BY_VALUE && x_run == 3))) ->
        CLAIM(announced, runs[x_run].intent[x_place]);
        if
        :: x_run == 3 -> CLAIM(undone_own_only, author[x_place] == 1); written[x_place] = 0
        :: else ->
            CLAIM(foreign_kept, author[x_place] != SOMEBODY);
            written[x_place]++;
            CLAIM(written_once, written[x_place] == 1)
        fi;
        row[x_place].value = x_sets;
        row[x_place].fence++;
        author[x_place] = x_run;
        wrote[x_run].did[x_place] = true;
        if
        :: mistake == NO_STAMP
        :: else -> row[x_place].stamp = x_run
        fi;
        x_matched = true
    :: else -> x_matched = false
    fi
}

/* Ask before a write whether anything ends the run. */
inline may_write() {
    if
    :: lost[me] && mistake != NO_LEASE_CHECK -> goto over
    :: else -> CLAIM(begun_by_holder, holder == me)
    fi;
    if
    :: stops > 0 -> stops--; printf("%d finds the stop file\n", me); goto stopped
    :: true
    fi
}

/* Between the question for the lease and the insert a process may stand still for as long as it likes. */
inline begin_append() {
    if
    :: lost[me] -> goto over
    :: else
    fi;
    STEP("%d journal.append:before\n")
}

/* One insert into the journal: what became of earlier rows, and what is said now. */
inline insert(what) {
    if
    :: mistake == ANY_PLACE_IN_JOURNAL -> head = places
    :: else
    fi;
    if
    :: head != places -> printf("%d finds its place taken\n", me); goto over
    :: else
    fi;
    places++;
    head = places;
    printf("%d inserts\n", me);
    if
    :: what != OPENING -> tell(0); tell(1)
    :: else
    fi;
    if
    :: what == OPENING || what == RESUMING -> runs[own].state = OPENED
    :: what == ANNOUNCING ->
        CLAIM(one_announces, !HELD(own, i));
        runs[own].intent[i] = true;
        runs[own].result[i] = (mistake == OUTCOME_BEFORE_WRITE -> APPLIED : NOTHING)
    :: what == TELLING
    :: what == ENDING ->
        runs[own].is_unsettled =
            IS_OPEN(own, 0) || runs[own].result[0] == UNSETTLED ||
            IS_OPEN(own, 1) || runs[own].result[1] == UNSETTLED;
        runs[own].state = (is_stopped -> STOPPED : DONE);
        if
        :: !is_stopped -> CLAIM(told_true, TOLD(own, 0) && TOLD(own, 1))
        :: else
        fi
    fi;
    STEP("%d journal.append:after\n")
}

inline tell(r) {
    if
    :: late[r] != NOTHING ->
        if
        :: late[r] == UNSETTLED -> CLAIM(settled_unless_meddled, meddled[r])
        :: else
        fi;
        runs[own].result[r] = late[r];
        late[r] = NOTHING
    :: else
    fi
}

/* Read one row. A plain read may show a write of which no majority will ever know. */
inline read_row(r) {
    value = row[r].value; stamp = row[r].stamp; fence = row[r].fence;
    printf("%d reads %d\n", me, r);
    if
    :: mistake == PLAIN_READ && flight.there && flight.place == r && flight.value == value &&
       flight.stamp == stamp && flight.fence == fence ->
        value = flight.sets; stamp = flight.own; fence++;
        printf("%d sees what is rolled back\n", me)
    :: true
    fi
}

inline forget_row() {
    value = 0; stamp = 0; fence = 0; tries = 0; is_matched = false; is_doubtful = false
}

#define IS_PRISTINE \
    (value == before && (stamp == stamp_before || (mistake == UNDO_BY_VALUE && kind == UNDO)))
#define IS_OURS (stamp == own || (kind != UNDO && plan_b == MINE && (stamp == 1 || stamp == 2)))

/* Which rows are to be written, as the journal and then the rows are. */
inline survey() {
    atomic { printf("%d surveys\n", me); held[0] = HELD(0, 0); held[1] = HELD(0, 1) }
    atomic {
        class_row(0); class_row(1); forget_row(); held[0] = false; held[1] = false
    }
}

inline class_row(r) {
    if
    :: kind == UNDO && !undoes[r]
    :: else ->
        read_row(r);
        pending[r] = !held[r] && IS_PRISTINE;
        late[r] = (pending[r] -> NOTHING : (held[r] -> BLOCKED :
            (value != sets -> MOVED : (IS_OURS -> OURS : ALREADY))))
    fi
}

inline send_into_the_dark() {
    flight.there = true; flight.own = own; flight.place = i; flight.value = before; flight.stamp = stamp_before;
    flight.fence = fence; flight.sets = sets; printf("%d update under way\n", me)
}

/* One row, announced and asked for: written until it is known what became of it. */
inline write_row() {
    skip;
resend:
    atomic {
        if
        :: witness -> CLAIM(sent_by_holder, holder == me || holder == 0)
        :: else
        fi;
        if
        :: carry_out(own, i, before, stamp_before, fence, sets, is_matched); printf("%d update\n", me)
        :: losses > 0 ->
            losses--; carry_out(own, i, before, stamp_before, fence, sets, is_matched);
            printf("%d update, its answer lost\n", me); goto unheard
        :: losses > 0 && !flight.there -> losses--; send_into_the_dark(); goto unheard
        :: crashes > 0 && !flight.there ->
            crashes--; send_into_the_dark(); dead[me] = true; printf("%d dies\n", me); goto died
        fi;
        STEP("%d store.write:after\n")
    }
    goto answered;
unheard:
    atomic {
        is_doubtful = true;
        is_matched = false;
        if
        :: lost[me] && mistake != NO_LEASE_CHECK -> goto over
        :: else -> CLAIM(begun_by_holder, holder == me)
        fi;
        printf("%d asks again\n", me)
    }
    goto resend;
answered:
    if
    :: is_matched -> late[i] = APPLIED
    :: else ->
        atomic {
            read_row(i);
            if
            :: mistake == UNMATCHED_IS_REFUSED -> late[i] = REFUSED
            :: mistake != UNMATCHED_IS_REFUSED && stamp == own -> late[i] = APPLIED
            :: mistake != UNMATCHED_IS_REFUSED && stamp != own && IS_PRISTINE ->
                if
                :: tries < 2 -> tries++; may_write(); STEP("%d store.write:before\n"); goto resend
                :: else -> late[i] = REFUSED
                fi
            :: mistake != UNMATCHED_IS_REFUSED && stamp != own && !IS_PRISTINE && value == sets ->
                late[i] = (is_doubtful && mistake != ALREADY_AFTER_LOST_ANSWER -> UNSETTLED : ALREADY)
            :: mistake != UNMATCHED_IS_REFUSED && stamp != own && !IS_PRISTINE && value != sets -> late[i] = REFUSED
            fi
        }
    fi
}

inline settle(r) {
    if
    :: held[r] ->
        read_row(r);
        if
        :: mistake == SETTLE_BY_VALUE -> late[r] = (value == sets -> APPLIED : NOT_REACHED)
        :: mistake != SETTLE_BY_VALUE && stamp == own -> late[r] = APPLIED
        :: mistake != SETTLE_BY_VALUE && stamp != own && IS_PRISTINE -> late[r] = NOT_REACHED
        :: mistake != SETTLE_BY_VALUE && stamp != own && !IS_PRISTINE ->
            late[r] = (value == sets -> UNSETTLED : MOVED)
        fi;
        pending[r] = late[r] == NOT_REACHED
    :: else -> pending[r] = pending[r] && !HELD(own, r)
    fi
}

#define TELL_REST \
    if \
    :: late[0] != NOTHING || late[1] != NOTHING -> atomic { begin_append() }; atomic { insert(TELLING) } \
    :: else \
    fi

proctype Applier(byte me; byte own; byte kind) {
    byte head, seen, i, value, stamp, fence, tries, before, stamp_before, sets;
    byte late[2];
    bool pending[2], held[2], undoes[2];
    bool is_matched, is_stopped, is_doubtful;

    atomic {
        before = OLD; stamp_before = 0; sets = SETS(own);
        if
        :: kind == RESUME -> goto resuming
        :: kind == UNDO ->
            before = MINE; stamp_before = 1; sets = OLD;
            undoes[0] = runs[1].intent[0] && runs[1].result[0] == APPLIED;
            undoes[1] = runs[1].intent[1] && runs[1].result[1] == APPLIED;
            printf("%d plans the undo\n", me);
            if
            :: !undoes[0] && !undoes[1] -> goto died
            :: else
            fi
        :: else
        fi;
        seen = places
    }
    survey();
    STEP("%d lease:before\n");
end_waits:
    atomic {
        holder == 0 || dead[holder] ->
        holder = me; lost[me] = false;
        printf("%d takes the lease\n", me);
        STEP("%d lease:after\n")
    }
    atomic {
        head = places; printf("%d refreshes\n", me);
        if
        :: head == seen || mistake == NO_SECOND_LOOK -> seen = 0; goto surveyed
        :: else -> seen = 0
        fi
    }
    survey();
surveyed:
    atomic {
        if
        :: !pending[0] && !pending[1] -> goto over
        :: else
        fi;
        begin_append()
    }
    /* The run is opened first; what is known of other rows follows in an insert of its own. */
    atomic { insert(OPENING) }
    TELL_REST;
    goto writing;

resuming:
    skip;
end_waits_too:
    atomic {
        holder == 0 || dead[holder] ->
        holder = me; dead[me] = false; lost[me] = false;
        printf("%d takes the lease\n", me)
    }
    atomic { head = places; printf("%d refreshes\n", me) }
    atomic {
        printf("%d reads its run\n", me);
        held[0] = IS_OPEN(1, 0); held[1] = IS_OPEN(1, 1);
        pending[0] = !held[0] && !IS_FINAL(runs[1].result[0]);
        pending[1] = !held[1] && !IS_FINAL(runs[1].result[1]);
        begin_append()
    }
    atomic { insert(RESUMING) }
    atomic { settle(0); settle(1); forget_row(); held[0] = false; held[1] = false }
    TELL_REST;

writing:
    do
    :: i < 2 && !pending[i] -> i++
    :: i < 2 && pending[i] ->
        atomic {
            pending[i] = false;
            may_write();
            /* What an earlier attempt of this run announced may have been sent, and may still arrive. */
            is_doubtful = runs[own].intent[i] && mistake != SENT_BEFORE_FORGOTTEN;
            read_row(i);
            if
            :: stamp == own && mistake != SENT_BEFORE_FORGOTTEN -> late[i] = APPLIED; goto next_row
            :: (stamp != own || mistake == SENT_BEFORE_FORGOTTEN) && !IS_PRISTINE ->
                late[i] = (value != sets -> MOVED : (IS_OURS -> OURS : (is_doubtful -> UNSETTLED : ALREADY)));
                goto next_row
            :: stamp != own && IS_PRISTINE
            fi
        }
        if
        :: mistake != INTENT_AFTER_WRITE ->
            atomic { may_write(); begin_append() }
            atomic { insert(ANNOUNCING) }
        :: else
        fi;
        atomic {
            late[i] = NOT_REACHED;
            may_write();
            late[i] = NOTHING;
            STEP("%d store.write:before\n")
        }
        write_row();
        if
        :: mistake == INTENT_AFTER_WRITE ->
            atomic { begin_append() }
            atomic { insert(ANNOUNCING) }
        :: else
        fi;
next_row:
        atomic { forget_row(); i++ }
    :: else -> break
    od;
    TELL_REST;
    atomic { begin_append() }
    atomic { insert(ENDING) }
    goto over;

stopped:
    atomic { is_stopped = true; forget_row() }
    TELL_REST;
    atomic { begin_append() }
    atomic { insert(ENDING) }

over:
    atomic {
        if
        :: holder == me -> holder = 0; printf("%d gives the lease back\n", me)
        :: else
        fi
    }
died:
    is_resuming = is_resuming && kind != RESUME
}

proctype Resumer() {
end_idle:
    do
    :: atomic { resumes > 0 && !is_resuming && (runs[1].state == OPENED || runs[1].state == STOPPED) && (holder == 0 || dead[holder]) ->
        resumes--;
        is_resuming = true;
        run Applier(3, 1, RESUME) }
    od
}

proctype Somebody() {
    byte r;
end_idle:
    do
    :: foreign > 0 ->
        atomic {
            foreign--;
            if
            :: r = 0
            :: r = 1
            fi;
            if
            :: row[r].value != FOREIGN ->
                row[r].value = FOREIGN; author[r] = SOMEBODY; meddled[r] = true; printf("0 foreign value %d\n", r)
            :: row[r].value == OLD && row[r].stamp == 0 ->
                row[r].value = MINE; author[r] = SOMEBODY; meddled[r] = true; printf("0 foreign same value %d\n", r)
            :: printf("0 foreign touch %d\n", r)
            :: row[r].stamp != 0 ->
                row[r].stamp = 0; author[r] = (row[r].value == OLD -> 0 : SOMEBODY); meddled[r] = true; printf("0 foreign whole save %d\n", r)
            fi;
            row[r].fence++;
            r = 0
        }
    od
}

/* Time: a lease runs out for its holder at the latest when it does for the server. */
proctype Time() {
    byte who;
end_idle:
    do
    :: expiries > 0 && holder != 0 && !dead[holder] ->
        atomic {
            expiries--;
            who = holder;
            if
            :: mistake == LEASE_BY_OWN_CLOCK -> holder = 0; printf("%d lease runs out at the server\n", who)
            :: else -> lost[who] = true; printf("%d lease runs out\n", who)
            fi
        }
        atomic {
            if
            :: mistake == LEASE_BY_OWN_CLOCK -> lost[who] = true; printf("%d lease runs out\n", who)
            :: mistake != LEASE_BY_OWN_CLOCK && holder == who ->
                holder = 0; printf("%d lease runs out at the server\n", who)
            :: else
            fi;
            who = 0
        }
    od
}

/* A write that was sent arrives late, or never. */
proctype Network() {
    bool is_matched;
end_idle:
    do
    :: flight.there ->
        atomic {
            flight.there = false;
            if
            :: carry_out(flight.own, flight.place, flight.value, flight.stamp, flight.fence, flight.sets, is_matched);
               printf("%d late update\n", flight.own)
            :: printf("%d late update is gone\n", flight.own)
            fi;
            is_matched = false;
            flight.own = 0; flight.place = 0; flight.value = 0; flight.stamp = 0; flight.fence = 0; flight.sets = 0
        }
    od
}

init {
    atomic {
        c_code {
            now.mistake = GIVEN("MISTAKE"); now.crashes = GIVEN("CRASHES"); now.losses = GIVEN("LOSSES");
            now.expiries = GIVEN("EXPIRIES"); now.foreign = GIVEN("FOREIGN"); now.stops = GIVEN("STOPS");
            now.resumes = GIVEN("RESUMES"); now.plan_b = GIVEN("PLAN_B"); now.with_undo = GIVEN("UNDO"); now.witness = GIVEN("WITNESS");
        };
        run Applier(1, 1, APPLY);
        if
        :: plan_b != OLD -> run Applier(2, 2, APPLY)
        :: else
        fi;
        run Resumer();
        run Somebody();
        run Time();
        run Network()
    }
    if
    :: with_undo ->
end_finished:
        atomic { runs[1].state == DONE || runs[1].state == STOPPED -> run Applier(4, 3, UNDO) }
    :: else
    fi
}
