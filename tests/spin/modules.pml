/* SPDX-License-Identifier: MIT */
/*
 * A model of what goes on between two holds of the lock: unregistrations in slices, and a realloc
 * that copies without it, while other clients allocate, free and move by the same name - also what a
 * sweep that is under way has not come to yet.
 *
 * Blocks are places, each free, the heap's own or a module's by its id. An id has a record: it lives
 * while the name or a block refers to it. For each block the model remembers what no heap does: which
 * of the modules that had the name one after the other it was made for (its generation).
 *
 * Each guard can be taken away: then the property beside it must fail. All that is asserted has one.
 *
 *   KEEP_ID        an id is not given again while a sweep refers to its record
 *                  -> a sweep frees only what the module had that was unregistered
 *   KEEP_REFERENCE a block that moves refers to its record meanwhile
 *                  -> a block is of the module that it was made for
 *   OWN_BLOCKS     what realloc copies is the heap's own meanwhile
 *                  -> no block is freed twice
 *   LOOK_AGAIN     when the copy is done, realloc looks whether the module is still there
 *                  -> no block is lost
 *   ABANDON        if it is not, the new place is freed as well
 *                  -> no block stays the heap's own
 *   COUNT          a block that is allocated refers to its record
 *                  -> no reference is dropped that is not there
 *   DROP           a block that is freed does not refer to its record any more
 *                  -> a record has one reference for its name and one for each block
 *   END_SWEEP      the last slice drops the name's reference
 *                  -> an id is taken while a module has it, and no longer
 *   SLICE          a slice ends after BUDGET places
 *                  -> an unregistration holds the lock for no more of them
 *   COPY_UNLOCKED  realloc releases the lock before it copies
 *                  -> nothing is copied under the lock
 */
#ifndef KEEP_ID
#define KEEP_ID 1
#endif
#ifndef KEEP_REFERENCE
#define KEEP_REFERENCE 1
#endif
#ifndef OWN_BLOCKS
#define OWN_BLOCKS 1
#endif
#ifndef LOOK_AGAIN
#define LOOK_AGAIN 1
#endif
#ifndef ABANDON
#define ABANDON 1
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef DROP
#define DROP 1
#endif
#ifndef END_SWEEP
#define END_SWEEP 1
#endif
#ifndef SLICE
#define SLICE 1
#endif
#ifndef COPY_UNLOCKED
#define COPY_UNLOCKED 1
#endif

#ifndef CALLS
#define CALLS 3 /* of each client */
#endif
#define PLACES  4
#define IDS     2 /* a third module of the name has to wait for an id */
#define BUDGET  2 /* places of a slice */
#define CLIENTS 2
#define SWEEPS  2 /* unregistrations; the next module's may begin before the first is over */

#define FREE 0
#define OWN  1
#define ID   2 /* the first module's; ID + 1 the other one's */
#define NONE 15

byte locked; /* by the process of that number; 0: by none */
byte owner[PLACES];
byte made_for[PLACES]; /* generation; remembered by the model only */
byte named = NONE;     /* the id of the name */
bit used[IDS];
bit has_name[IDS];
byte references[IDS];
byte generation_of[IDS];
byte generations;
byte over; /* processes that are */
byte held; /* places that an unregistration passed since the lock was taken */

inline lock()
{
    atomic { !locked -> locked = _pid }
}

inline unlock()
{
    d_step {
        assert(held <= BUDGET); /* the lock is held no longer */
        held = 0;
        locked = 0
    }
}

inline free_place(place)
{
    assert(owner[place] != FREE); /* none is freed twice */
    owner[place] = FREE;
    made_for[place] = 0
}

inline drop(id)
{
    assert(references[id] != 0);
    references[id]--;
    if
    :: references[id] == 0 -> used[id] = 0
    :: else
    fi
}

/* The first free place, NONE: there is none. */
inline find_free(place)
{
    place = 0;
    do
    :: place < PLACES && owner[place] != FREE -> place++
    :: else -> break
    od;
    if
    :: place == PLACES -> place = NONE
    :: else
    fi
}

/* The id of the name, which becomes known if it is not. NONE: no id is to be had. */
inline find_or_make(id)
{
    id = named;
    if
    :: id == NONE ->
        if
        :: !used[0] -> id = 0
        :: used[0] && !used[1] -> id = 1
        :: else
        fi;
        if
        :: id != NONE ->
            used[id] = 1;
            has_name[id] = 1;
            references[id] = 1;
            generations++;
            generation_of[id] = generations;
            named = id
        :: else
        fi
    :: else
    fi
}

/*
 * May a client use its block: is it live? A sweep that is under way may not have come to it yet.
 * What a client frees after that is its mistake, and left out.
 */
#define IS_MINE(place, generation) \
    (place != NONE && owner[place] >= ID && made_for[place] == generation)

/* Is the module still there that it was made for? Else it is left to the sweep. */
#define HAS_MODULE(place, generation) \
    (place != NONE && named != NONE && generation_of[named] == generation)

proctype Client()
{
    byte mine = NONE;
    byte generation = 0;
    byte place = NONE;
    byte id = NONE;
    byte calls = 0;
    do
    :: calls < CALLS ->
        calls++;
        if
        :: true -> /* malloc, by the name */
            lock();
            d_step {
                if
                :: !HAS_MODULE(mine, generation) ->
                    mine = NONE;
                    generation = 0;
                    find_free(place)
                :: else
                fi;
                if
                :: place != NONE ->
                    find_or_make(id);
                    if
                    :: id != NONE ->
                        references[id] = references[id] + COUNT;
                        owner[place] = ID + id;
                        generation = generation_of[id];
                        made_for[place] = generation;
                        mine = place
                    :: else
                    fi
                :: else
                fi;
                place = NONE;
                id = NONE
            }
            unlock()
        :: true -> /* free */
            lock();
            d_step {
                if
                :: IS_MINE(mine, generation) ->
                    id = owner[mine] - ID;
                    free_place(mine);
                    if
                    :: DROP -> drop(id)
                    :: else
                    fi
                :: else
                fi;
                mine = NONE;
                generation = 0;
                id = NONE
            }
            unlock()
        :: true -> /* realloc, which moves */
            lock();
            d_step {
                if
                :: IS_MINE(mine, generation) -> find_free(place)
                :: else
                fi;
                if
                :: place != NONE ->
                    id = owner[mine] - ID;
                    owner[place] = OWN;
                    made_for[place] = generation;
                    if
                    :: OWN_BLOCKS -> owner[mine] = OWN
                    :: else
                    fi;
                    if
                    :: !KEEP_REFERENCE -> drop(id)
                    :: else
                    fi
                :: else
                fi
            }
            if
            :: COPY_UNLOCKED || place == NONE -> unlock()
            :: else
            fi;
            if
            :: place != NONE ->
                assert(locked != _pid); /* here it copies, and not under the lock */
                if
                :: COPY_UNLOCKED -> lock()
                :: else
                fi;
                d_step {
                    if
                    :: !KEEP_REFERENCE -> references[id]++
                    :: else
                    fi;
                    free_place(mine);
                    if
                    :: LOOK_AGAIN && !has_name[id] ->
                        if
                        :: ABANDON -> free_place(place)
                        :: else
                        fi;
                        drop(id);
                        mine = NONE;
                        generation = 0
                    :: else ->
                        owner[place] = ID + id;
                        mine = place
                    fi;
                    place = NONE;
                    id = NONE
                }
                unlock()
            :: else
            fi
        fi
    :: else -> break
    od;
    over++
}

proctype Unregister()
{
    byte id = NONE;
    byte generation = 0;
    byte place = 0;
    byte passed = 0;
    lock();
    d_step {
        id = named;
        if
        :: id != NONE ->
            named = NONE;
            has_name[id] = 0;
            generation = generation_of[id];
            if
            :: !KEEP_ID -> used[id] = 0
            :: else
            fi
        :: else
        fi
    }
    unlock();
    do
    :: id != NONE ->
        lock();
        d_step {
            do /* to the module's last block, or the last place: then what it has left is moving */
            :: references[id] > 1 && place < PLACES && (passed < BUDGET || !SLICE) ->
                if
                :: owner[place] == ID + id ->
                    assert(made_for[place] == generation); /* none of a new module's */
                    free_place(place);
                    drop(id)
                :: else
                fi;
                place++;
                passed++;
                held++
            :: else -> break
            od;
            passed = 0;
            if
            :: references[id] <= 1 || place == PLACES ->
                if
                :: END_SWEEP -> drop(id)
                :: else
                fi;
                id = NONE;
                generation = 0;
                place = 0
            :: else
            fi
        }
        unlock()
    :: else -> break
    od;
    over++
}

/* When all is over, each block is its module's, and each id is referred to as often as it says. */
proctype Judge()
{
    byte place = 0;
    byte id = 0;
    byte blocks[IDS];
    (over == CLIENTS + SWEEPS);
    d_step {
        do
        :: place < PLACES ->
            assert(owner[place] != OWN);
            if
            :: owner[place] >= ID ->
                id = owner[place] - ID;
                assert(used[id] && has_name[id]); /* no block is lost */
                assert(made_for[place] == generation_of[id]);
                blocks[id]++
            :: else
            fi;
            place++
        :: else -> break
        od;
        id = 0;
        do
        :: id < IDS ->
            assert(!used[id] || references[id] == blocks[id] + 1);
            assert(used[id] == (id == named));
            id++
        :: else -> break
        od
    }
}

init
{
    atomic {
        run Client();
        run Client();
        run Unregister();
        run Unregister();
        run Judge()
    }
}
