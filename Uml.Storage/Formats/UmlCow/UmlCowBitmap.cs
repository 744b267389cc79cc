using System.Buffers;
using System.Runtime.CompilerServices;
using Uml.Storage.Blocks;
using Uml.Storage.Files;

namespace Uml.Storage.Formats.UmlCow;

/// <summary>
/// Which sectors a copy-on-write file has: the bitmap of the file, read as it is needed, in pages. What is set here goes to the file with
/// the next flush, never before the sectors' data.
/// </summary>
internal sealed class UmlCowBitmap
{
    private const int PageSize = 4096, PageBits = PageSize * 8;

    /// <summary>What is written at once when a bit in it has changed: a page has 8 of them.</summary>
    private const int UnitSize = 512, UnitBits = UnitSize * 8;

    private readonly IImageFile _file;
    private readonly UmlCowHeader _header;
    private readonly Lock _lock = new();
    private readonly byte[]?[] _pages;

    /// <summary>Of each page, the units that differ from the file.</summary>
    private readonly byte[] _changed;
    private int _changedUnits;

    public UmlCowBitmap(IImageFile file, UmlCowHeader header)
    {
        (_file, _header) = (file, header);
        int count = checked((int)((header.BitmapLength + PageSize - 1) / PageSize));
        _pages = new byte[]?[count];
        _changed = new byte[count];
    }

    /// <summary>Whether there is something to write.</summary>
    public bool HasChanges => Volatile.Read(ref _changedUnits) != 0;

    /// <summary>How many sectors, from one on, are alike: in the file, or all not in it.</summary>
    /// <param name="sector">The first.</param>
    /// <param name="limit">No more than these.</param>
    /// <param name="isPresent">Gets whether they are in the file.</param>
    /// <exception cref="BlockIOException">The bitmap could not be read.</exception>
    public long CountAlike(long sector, long limit, out bool isPresent)
    {
        isPresent = Get(sector);
        long count = 1;
        while (count < limit)
        {
            long next = sector + count;
            if (next % 8 == 0 && limit - count >= 8 && TryGetByte(next, out byte bits) && bits == (isPresent ? 0xFF : 0))
            {
                count += 8;
            }
            else if (Get(next) == isPresent)
            {
                count++;
            }
            else
            {
                break;
            }
        }

        return count;
    }

    /// <summary>Notes that sectors are in the file.</summary>
    /// <exception cref="BlockIOException">The bitmap could not be read.</exception>
    public void Set(long sector, long count)
    {
        for (long end = sector + count; sector < end;)
        {
            byte[] page = GetPage(sector / PageBits);
            long stop = Math.Min(end, ((sector / PageBits) + 1) * PageBits);
            lock (_lock)
            {
                for (; sector < stop; sector++)
                {
                    SetBit(page, sector);
                }
            }
        }
    }

    /// <summary>What there is to write now: a copy, which does not change when more bits are set.</summary>
    /// <returns>Units, to be given back by <see cref="Snapshot.Dispose"/>.</returns>
    public Snapshot Take()
    {
        lock (_lock)
        {
            byte[] data = ArrayPool<byte>.Shared.Rent(_changedUnits * UnitSize);
            int[] units = ArrayPool<int>.Shared.Rent(_changedUnits);
            int count = 0;
            for (int page = 0; page < _pages.Length && count < _changedUnits; page++)
            {
                for (int changed = _changed[page]; changed != 0; changed &= changed - 1)
                {
                    int unit = System.Numerics.BitOperations.TrailingZeroCount(changed);
                    _pages[page].AsSpan(unit * UnitSize, UnitSize).CopyTo(data.AsSpan(count * UnitSize));
                    units[count++] = (page * (PageSize / UnitSize)) + unit;
                }

                _changed[page] = 0;
            }

            _changedUnits = 0;
            return new Snapshot(this, data, units, count);
        }
    }

    private bool Get(long sector)
    {
        if (sector >= _header.MappedSectors)
        {
            return false;
        }

        byte[] page = GetPage(sector / PageBits);
        int bit = (int)(sector % PageBits);
        return (Volatile.Read(ref page[bit / 8]) & (1 << (bit % 8))) != 0;
    }

    private bool TryGetByte(long sector, out byte bits)
    {
        bits = 0;
        if (sector + 8 > _header.MappedSectors)
        {
            return false;
        }

        bits = Volatile.Read(ref GetPage(sector / PageBits)[sector % PageBits / 8]);
        return true;
    }

    private void SetBit(byte[] page, long sector)
    {
        int bit = (int)(sector % PageBits);
        byte mask = (byte)(1 << (bit % 8));
        if ((page[bit / 8] & mask) != 0)
        {
            return;
        }

        page[bit / 8] |= mask;
        MarkChanged((int)(sector / PageBits), bit / UnitBits);
    }

    private void MarkChanged(int page, int unit)
    {
        byte mask = (byte)(1 << unit);
        if ((_changed[page] & mask) == 0)
        {
            _changed[page] |= mask;
            _changedUnits++;
        }
    }

    private byte[] GetPage(long index)
    {
        byte[]? page = Volatile.Read(ref _pages[index]);
        return page ?? ReadPage(index);
    }

    private byte[] ReadPage(long index)
    {
        byte[] page = new byte[PageSize];
        long start = index * PageSize;
        int length = (int)Math.Min(PageSize, _header.BitmapLength - start);
        _file.Run(HostFileOperation.Read, _header.BitmapOffset + start, page.AsMemory(0, length), 0);
        lock (_lock)
        {
            return _pages[index] ??= page;
        }
    }

    /// <summary>Changed parts of the bitmap on their way to the file.</summary>
    internal readonly struct Snapshot(UmlCowBitmap owner, byte[] data, int[] units, int count) : IDisposable
    {
        /// <summary>Writes them.</summary>
        /// <exception cref="BlockIOException">Not all of them could be written.</exception>
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
        public async ValueTask WriteAsync()
        {
            for (int done = 0; done < count;)
            {
                int run = 1;
                while (done + run < count && units[done + run] == units[done] + run)
                {
                    run++;
                }

                long start = (long)units[done] * UnitSize;
                int length = (int)Math.Min((long)run * UnitSize, owner._header.BitmapLength - start);
                await owner._file.WriteAsync(owner._header.BitmapOffset + start, data.AsMemory(done * UnitSize, length)).ConfigureAwait(false);
                done += run;
            }
        }

        /// <summary>Has them written again by the next flush, since this one failed.</summary>
        public void PutBack()
        {
            lock (owner._lock)
            {
                foreach (int unit in units.AsSpan(0, count))
                {
                    owner.MarkChanged(unit / (PageSize / UnitSize), unit % (PageSize / UnitSize));
                }
            }
        }

        public void Dispose()
        {
            ArrayPool<byte>.Shared.Return(data);
            ArrayPool<int>.Shared.Return(units);
        }
    }
}
