using Uml.Core.Cpu.Paging;
using Uml.Core.Memory;

namespace Uml.Core.Tests.Cpu.Engine;

/// <summary>Constants that emitted code addresses fields by are where the compiler has put the fields.</summary>
[TestFixture]
public sealed unsafe class EmittedOffsetTests
{
    // SAFETY: addresses are computed and never followed.
    [Test]
    public void Fields_of_a_TLB_entry_are_where_emitted_code_looks()
    {
        TlbEntry entry;
        byte* start = (byte*)&entry;
        Assert.Multiple(() =>
        {
            Assert.That(sizeof(TlbEntry), Is.EqualTo(Tlb.EntrySize));
            Assert.That((byte*)&((TlbEntry*)start)->ReadTag - start, Is.EqualTo(TlbEntry.ReadTagOffset));
            Assert.That((byte*)&((TlbEntry*)start)->WriteTag - start, Is.EqualTo(TlbEntry.WriteTagOffset));
            Assert.That((byte*)&((TlbEntry*)start)->ExecuteTag - start, Is.EqualTo(TlbEntry.ExecuteTagOffset));
            Assert.That((byte*)&((TlbEntry*)start)->HostPage - start, Is.EqualTo(TlbEntry.HostPageOffset));
        });
    }

    [Test]
    public void Fields_of_an_entry_of_the_walk_cache_are_where_emitted_code_looks()
    {
        WalkCacheEntry entry;
        byte* start = (byte*)&entry;
        Assert.Multiple(() =>
        {
            Assert.That(sizeof(WalkCacheEntry), Is.EqualTo(1 << WalkCache.EntryShift));
            Assert.That((byte*)&((WalkCacheEntry*)start)->Tag - start, Is.EqualTo(WalkCacheEntry.TagOffset));
            Assert.That((byte*)&((WalkCacheEntry*)start)->Rights - start, Is.EqualTo(WalkCacheEntry.RightsOffset));
            Assert.That((byte*)&((WalkCacheEntry*)start)->Any - start, Is.EqualTo(WalkCacheEntry.AnyOffset));
            Assert.That((byte*)&((WalkCacheEntry*)start)->Table - start, Is.EqualTo(WalkCacheEntry.TableOffset));
        });
    }

    [Test]
    public void What_is_known_of_a_page_is_where_emitted_code_looks()
    {
        PageInfo info;
        byte* start = (byte*)&info;
        Assert.Multiple(() =>
        {
            Assert.That((byte*)&((PageInfo*)start)->Watched - start, Is.EqualTo(PageInfo.WatchedOffset));
            Assert.That((byte*)&((PageInfo*)start)->MayBeWriteMapped - start, Is.EqualTo(PageInfo.MayBeWriteMappedOffset));
        });
    }
}
